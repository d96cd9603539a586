"""A reader's defaults as values: what a schema writes in JSON, as the codec needs it.

fastavro puts the raw JSON in place of a missing field: text for bytes, a number for a timestamp, `{}` for a record
whose own fields have defaults, and one shared list for every record.
"""

from __future__ import annotations

from typing import Final, cast

from penstock.schemas.nodes import Array, Enum, Field, Fixed, Map, Node, NoDefault, Primitive, Record, Union

INT_RANGE: Final = range(-(2**31), 2**31)
LONG_RANGE: Final = range(-(2**63), 2**63)
FLOAT_MAX: Final = 3.4028234663852886e38
"""The largest finite 32-bit float."""


MAX_DEFAULT_VALUES: Final = 100_000
"""All defaults of a schema together: records whose fields default to records multiply."""


class Budget:
    """How many values defaults may still become."""

    def __init__(self) -> None:
        self._left = MAX_DEFAULT_VALUES

    def take(self) -> None:
        """Count one value."""
        self._left -= 1
        if self._left < 0:
            raise InvalidDefault(f"the defaults hold more than {MAX_DEFAULT_VALUES:,} values")


class InvalidDefault(ValueError):
    """A default that does not fit its type; the message is the reason."""


def physical_default(field: Field, budget: Budget | None = None) -> object:
    """The default as Avro would write it: bytes for bytes, fixed and decimal, integers for times, dicts for records.

    A union's default belongs to its first branch. Every call builds new lists and dicts.

    Raises:
        InvalidDefault: it does not fit the field's type.
    """
    return _Maker(budget or Budget()).value(field.type, field.default, frozenset())


class _Maker:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def value(self, node: Node, json: object, filling: frozenset[int]) -> object:
        self._budget.take()
        match node:
            case Primitive(kind=kind):
                return _primitive(kind, json)
            case Enum() | Fixed():
                return _symbol(node, json) if isinstance(node, Enum) else _fixed(node, json)
            case Union(branches=branches):
                return self.value(branches[0], json, filling)
            case Array(items=inner) | Map(values=inner):
                return self._collection(node, inner, json, filling)
            case Record():
                return self._record(node, json, filling)

    def _collection(self, node: Array | Map, inner: Node, json: object, filling: frozenset[int]) -> object:
        if isinstance(node, Array) and isinstance(json, list):
            return [self.value(inner, each, filling) for each in cast("list[object]", json)]
        if isinstance(node, Map) and isinstance(json, dict):
            return {key: self.value(inner, each, filling) for key, each in cast("dict[str, object]", json).items()}
        raise InvalidDefault("expected a list" if isinstance(node, Array) else "expected an object")

    def _record(self, node: Record, json: object, filling: frozenset[int]) -> dict[str, object]:
        if not isinstance(json, dict):
            raise InvalidDefault("expected an object")
        given = cast("dict[str, object]", json)
        if unknown := given.keys() - {field.name for field in node.fields}:
            raise InvalidDefault(f"{node.name} has no field {min(unknown)[:200]!r}")
        found: dict[str, object] = {}
        for field in node.fields:
            if field.name in given:
                found[field.name] = self.value(field.type, given[field.name], filling)
            elif isinstance(field.default, NoDefault):
                raise InvalidDefault(f"the field {field.name!r} is missing and has no default of its own")
            elif id(field) in filling:
                raise InvalidDefault(f"the default of {field.name!r} contains itself without end")
            else:
                found[field.name] = self.value(field.type, field.default, filling | {id(field)})
        return found


def _symbol(node: Enum, json: object) -> object:
    if json not in node.symbols:
        raise InvalidDefault("expected one of the enum's symbols")
    return json


def _fixed(node: Fixed, json: object) -> bytes:
    data = _bytes(json)
    if len(data) != node.size:
        raise InvalidDefault(f"expected {node.size} bytes")
    return data


def _primitive(kind: str, json: object) -> object:
    match kind:
        case "null" if json is None:
            return None
        case "boolean" if isinstance(json, bool):
            return json
        case "int" | "long" if isinstance(json, int) and not isinstance(json, bool):
            if json in (INT_RANGE if kind == "int" else LONG_RANGE):
                return json
        case "float" | "double" if isinstance(json, int | float) and not isinstance(json, bool):
            limit = FLOAT_MAX if kind == "float" else float("inf")
            if -limit <= json <= limit and -1.7976931348623157e308 <= json <= 1.7976931348623157e308:
                return float(json)
        case "string" if isinstance(json, str):
            return json
        case "bytes":
            return _bytes(json)
        case _:
            pass
    raise InvalidDefault(f"expected {kind}")


def _bytes(json: object) -> bytes:
    # Avro 1.12, Complex Types: the code points 0-255 of a bytes default are its bytes.
    if not isinstance(json, str):
        raise InvalidDefault("expected text whose characters are bytes")
    try:
        return json.encode("latin-1")
    except UnicodeEncodeError as err:
        raise InvalidDefault("expected text of characters up to \\u00ff, each a byte") from err
