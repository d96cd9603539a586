"""Variables named `PENSTOCK_SECTION__KEY`, and those that look like one and are none.

librdkafka's options are reachable too, dots written as underscores: `PENSTOCK_KAFKA__CLIENT__SASL_PASSWORD` sets
`sasl.password` of `[kafka.client]`; `PENSTOCK_KAFKA__CLIENT` takes a whole table as a JSON object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

PREFIX = "PENSTOCK_"
DELIMITER = "__"
PROFILE = "PENSTOCK_PROFILE"

OPTION_TABLES = ("client", "producer", "consumer", "admin")
"""Tables of `[kafka]` whose keys are librdkafka's."""


class EnvironmentSource(EnvSettingsSource):
    """What the environment sets, as nested tables. Values that are no JSON are left to validation."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Decode JSON where it is some; pydantic-settings would stop at the first that is not."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value

    def __call__(self) -> dict[str, Any]:
        """The tables, with librdkafka's options under their own names."""
        values = super().__call__()
        kafka = values.get("kafka")
        if isinstance(kafka, dict):
            for table in OPTION_TABLES:
                if isinstance(kafka.get(table), dict):
                    kafka[table] = {option_name(key): value for key, value in kafka[table].items()}
        return values


def option_name(key: str) -> str:
    """The librdkafka name of an option in a variable's name; none of its options has an underscore that matters."""
    return key.replace("_", ".")


def variables() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every variable that claims to be ours, with the path it means."""
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name != PROFILE:
            yield name, tuple(name[len(PREFIX) :].lower().split(DELIMITER))


def variable(path: tuple[str, ...]) -> str:
    """The name of the variable that sets the key at `path`."""
    return PREFIX + DELIMITER.join(part.replace(".", "_") for part in path).upper()


def origins(values: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """{path: the variable that set it} for what the environment contributed."""
    named = {path: name for name, path in variables()}
    found: dict[tuple[str, ...], str] = {}
    for path in leaves(values):
        spelled = tuple(part.replace(".", "_") for part in path)
        name = named.get(spelled) or named.get(spelled[:-1])
        found[path] = f"environment {name or variable(path)}"
    return found


def leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of everything in nested tables that is no table."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)
