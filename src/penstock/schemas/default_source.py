"""A field's default as Python source: `dt.date(2013, 1, 1)`, `Colour.RED`, `lambda: [1, 2]`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Final, cast
from uuid import UUID

from penstock.errors import ConfigurationError
from penstock.schemas.defaults import physical_default
from penstock.schemas.nodes import Array, Enum, Field, Fixed, Logical, Map, Node, Primitive, Record, Union
from penstock.schemas.python_names import field_names, member_names
from penstock.schemas.python_source import quoted, quoted_bytes

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PER_SECOND: Final = {"millis": 1_000, "micros": 1_000_000}


class DefaultSource:
    """Writes defaults.

    Args:
        use: told every name that the source uses (`dt`, `Decimal`, `UUID`), gives it back.
        class_of: the class of a type, by its full name.
    """

    def __init__(self, use: Callable[[str], str], class_of: Callable[[str], str]) -> None:
        self._use, self._class_of = use, class_of

    def of(self, field: Field) -> str:
        """The default as an expression.

        Raises:
            ConfigurationError: Python has no such value, as with a timestamp in the year 12,000.
        """
        try:
            return self._literal(field.type, physical_default(field))
        except (ValueError, OverflowError) as err:
            raise ConfigurationError(f"the default of the field {field.name!r} is no Python value: {err}") from err

    def _literal(self, node: Node, value: object) -> str:
        match node, value:
            case ((Primitive(logical=logical) | Fixed(logical=logical)), _) if logical is not None:
                return self._logical(logical, value)
            case Enum(name=name), str():
                return f"{self._class_of(name)}.{member_names(node)[value]}"
            case Union(branches=branches), _:
                return self._literal(branches[0], value)
            case ((Array() | Map() | Record()), _):
                return self._container(node, value)
            case _, bytes() | str():
                return quoted_bytes(value) if isinstance(value, bytes) else quoted(value)
            case _:
                return repr(value).replace("e+", "e")  # as the formatter writes 1e+20

    def _container(self, node: Array | Map | Record, value: object) -> str:
        if isinstance(node, Array):
            return f"[{', '.join(self._literal(node.items, each) for each in cast('list[object]', value))}]"
        pairs = cast("dict[str, object]", value)
        if isinstance(node, Record):
            return self._record(node, pairs)
        return f"{{{', '.join(f'{quoted(key)}: {self._literal(node.values, each)}' for key, each in pairs.items())}}}"

    def _record(self, node: Record, values: dict[str, object]) -> str:
        names = field_names(node)
        given = (f"{names[each.name]}={self._literal(each.type, values[each.name])}" for each in node.fields)
        return f"{self._class_of(node.name)}({', '.join(given)})"

    def _logical(self, logical: Logical, value: object) -> str:
        match logical.name, value:
            case "decimal", bytes():
                return self._decimal(int.from_bytes(value, "big", signed=True), logical.scale)
            case "uuid", _:
                found = UUID(bytes=value) if isinstance(value, bytes) else UUID(cast("str", value))
                return f'{self._use("UUID")}("{found}")'
            case "date", int():
                return self._time_source(dt.date(1970, 1, 1) + dt.timedelta(days=value))
            case name, int():
                moment = _EPOCH + dt.timedelta(microseconds=value * 1_000_000 // _PER_SECOND[name.rpartition("-")[2]])
                if name.startswith("time-"):
                    if moment.date() != _EPOCH.date():
                        raise ValueError("a time of day is from 00:00 up to 24:00")
                    return self._time_source(moment.time())
                if name.startswith("local-"):  # in this form, since linters object to naive constructor calls
                    return f'{self._use("dt.datetime")}.fromisoformat("{moment.replace(tzinfo=None).isoformat()}")'
                return self._time_source(moment)
            case _:
                raise ValueError(f"{logical.name} of {type(value).__name__}")

    def _decimal(self, unscaled: int, scale: int) -> str:
        word = self._use("Decimal")
        if scale == 0:
            return f"{word}({unscaled})"
        return f'{word}("{Decimal(unscaled).scaleb(-scale):f}")'

    def _time_source(self, value: dt.date | dt.time) -> str:
        source = repr(value).replace("datetime.timezone.utc", "datetime.UTC").removeprefix("datetime.")
        return f"{self._use('dt')}.{source.replace('datetime.UTC', 'dt.UTC')}"
