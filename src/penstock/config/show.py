"""The effective values with their origins, secrets starred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from penstock.config.model import Config
from penstock.config.options import REDACTED, OptionValue, redact, redact_url

Shown = OptionValue | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force.

    Attributes:
        key: dotted, as in TOML.
        value: as it may be shown.
        origin: file and line, variable, or `default`.
    """

    key: str
    value: Shown
    origin: str


def settings(config: Config) -> Iterator[Setting]:
    """Every key in the order of the reference; a librdkafka option is a key of its own."""
    for section, content in config:
        for key, value in content:
            path = (section, key)
            if isinstance(value, dict):
                for option, setting in sorted(value.items()):
                    origin = config.origin((*path, option))
                    yield Setting(f'{section}.{key}."{option}"', redact(option, setting), origin)
            else:
                yield Setting(".".join(path), _shown(value), config.origin(path))


def _shown(value: object) -> Shown:
    match value:
        case SecretStr():
            return REDACTED
        case Path():
            return str(value)
        case str():
            return redact_url(value)
        case int() | None:  # bool included
            return value
        case _:
            raise TypeError(f"a setting of type {type(value).__name__}")
