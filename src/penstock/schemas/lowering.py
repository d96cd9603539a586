"""From a value to what fastavro writes, checked strictly: fastavro would coerce, and drop, and write something.

It writes True and 1.7 into an int, 'x' into a boolean, infinity for 1e300, the letters of "abc" into an array, local
time for a naive datetime, and leaves out fields it does not know. Nothing of that passes here.

Every node compiles to a function that either returns the physical value or raises `Misfit` with the path. It is the
rule; `checked_batch.py` does the same for plain fields in C.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping
from math import isnan
from typing import Any, Final, cast

from penstock.schemas.building import type_word
from penstock.schemas.classes import Classes
from penstock.schemas.defaults import FLOAT_MAX, INT_RANGE, LONG_RANGE
from penstock.schemas.logical import PYTHON_TYPES, Conversion, lowering
from penstock.schemas.malformed import Misfit
from penstock.schemas.nodes import Array, Enum, Fixed, Map, Node, Primitive, Record, Union
from penstock.schemas.resolution import pair_name

_EXACT_AS_DOUBLE: Final = range(-(2**53), 2**53 + 1)
_EXACT_AS_FLOAT: Final = range(-(2**24), 2**24 + 1)


def write_plan(node: Node, made: dict[int, Any] | None = None) -> Any:  # noqa: PLR0911 - one return per kind of node
    """The schema as fastavro's `write_data` takes it: physical types only, nested dicts instead of names."""
    made = {} if made is None else made
    match node:
        case Primitive(kind=kind):
            return kind
        case Fixed(name=name, size=size):
            return {"type": "fixed", "name": name, "size": size}
        case Enum(name=name, symbols=symbols):
            return {"type": "enum", "name": name, "symbols": list(symbols)}
        case Array(items=items):
            return {"type": "array", "items": write_plan(items, made)}
        case Map(values=values):
            return {"type": "map", "values": write_plan(values, made)}
        case Union(branches=branches):
            return [write_plan(branch, made) for branch in branches]
        case Record(name=name, fields=fields):
            if id(node) not in made:
                plan = made[id(node)] = {"type": "record", "name": name, "fields": []}
                plan["fields"] = [{"name": each.name, "type": write_plan(each.type, made)} for each in fields]
            return made[id(node)]


class Lowering:
    """Compiles nodes; `classes` say which objects records and enums come as."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._records: dict[int, Conversion] = {}

    def of(self, node: Node) -> Conversion:  # noqa: PLR0911 - one return per kind of node
        """The strict function of a node."""
        match node:
            case Primitive(logical=logical) | Fixed(logical=logical) if logical is not None:
                return lowering(logical, node)
            case Primitive(kind=kind):
                return _PRIMITIVES[kind]
            case Fixed(size=size):
                return _sized(size)
            case Enum(symbols=symbols):
                return _symbol(symbols, self._classes.enum(node))
            case Array(items=items):
                return _array(self.of(items))
            case Map(values=values):
                return _map(self.of(values))
            case Union():
                return self._union(node)
            case Record():
                return self._record(node)

    # ------------------------------------------------------------ records

    def _record(self, node: Record) -> Conversion:
        if id(node) not in self._records:
            parts: list[tuple[str, str, Conversion]] = []
            cls = self._classes.of(node)
            lower = _of_dict(node, parts) if cls is None else _of_object(cls, parts)
            self._records[id(node)] = lower
            attributes = self._classes.attributes(node)
            parts.extend((field.name, attributes[field.name], self.of(field.type)) for field in node.fields)
        return self._records[id(node)]

    # ------------------------------------------------------------ unions

    def _union(self, node: Union) -> Conversion:
        """Exact matches first, so that 1 is never a double where the union has a long."""
        exact = [(type_word(branch), self._is_of(branch), self._lower_in(node, branch)) for branch in node.branches]
        loose = [
            (word, lower)
            for (word, _, lower), branch in zip(exact, node.branches, strict=True)
            if isinstance(branch, Primitive | Enum) and (isinstance(branch, Enum) or branch.kind in ("float", "double"))
        ]

        def lower(value: object) -> object:
            for word, is_of, convert in exact:
                if is_of(value):
                    return word, convert(value)
            for word, convert in loose:
                try:
                    return word, convert(value)
                except Misfit:
                    continue
            raise Misfit(f"no branch of the union takes a {type(value).__name__}")

        return lower

    def _lower_in(self, union: Union, branch: Node) -> Conversion:
        lower = self.of(branch)
        if pair_name(union, branch, self._classes) is None:
            return lower
        return lambda pair: lower(pair[1])

    def _is_of(self, node: Node) -> Callable[[Any], bool]:  # noqa: PLR0911 - one return per kind of node
        """Whether a value is of this branch and can be of no other."""
        match node:
            case Primitive(logical=logical) | Fixed(logical=logical) if logical is not None:
                wanted = PYTHON_TYPES[logical.name]
                # A datetime is a date to Python.
                return lambda value: type(value) is wanted or (wanted.__name__ != "date" and isinstance(value, wanted))
            case Primitive(kind=kind):
                return _EXACTLY[kind]
            case Fixed(size=size):
                return lambda value: isinstance(value, bytes) and len(value) == size
            case Enum():
                cls = self._classes.enum(node)
                return lambda value: cls is not None and isinstance(value, cls)
            case Array():
                return lambda value: isinstance(value, list | tuple)
            case Map():
                return lambda value: isinstance(value, Mapping)
            case Record():
                return self._is_record(node)
            case Union():
                return lambda _value: False

    def _is_record(self, node: Record) -> Callable[[Any], bool]:
        cls = self._classes.of(node)
        if cls is not None:
            return lambda value: type(value) is cls
        names = {field.name for field in node.fields}

        def is_of(value: Any) -> bool:
            if isinstance(value, tuple):  # (full name, dict), needed where a union has several records
                pair: tuple[Any, ...] = value
                return len(pair) == 2 and pair[0] == node.name
            if not isinstance(value, dict):
                return False
            given: dict[Any, Any] = value
            return given.keys() == names

        return is_of


def _of_object(cls: type, parts: list[tuple[str, str, Conversion]]) -> Conversion:
    def lower(value: object) -> object:
        if type(value) is not cls:
            raise Misfit(f"expected {cls.__qualname__}, got {type(value).__name__}")
        found: dict[str, object] = {}
        for name, attribute, convert in parts:
            try:
                found[name] = convert(getattr(value, attribute))
            except Misfit as err:
                raise err.inside(name) from None
        return found

    return lower


def _of_dict(node: Record, parts: list[tuple[str, str, Conversion]]) -> Conversion:
    def lower(value: object) -> object:
        if not isinstance(value, dict):
            raise Misfit(f"expected a dict, got {type(value).__name__}")
        given: dict[Any, Any] = value
        found: dict[str, object] = {}
        for name, _, convert in parts:
            if name not in given:
                raise Misfit("the field is missing").inside(name)
            try:
                found[name] = convert(given[name])
            except Misfit as err:
                raise err.inside(name) from None
        if len(given) != len(parts):
            raise Misfit(f"{len(given) - len(parts)} fields that {node.name} has not")
        return found

    return lower


def _array(lower: Conversion) -> Conversion:
    def convert(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise Misfit(f"expected a list, got {type(value).__name__}")
        try:
            return [lower(each) for each in cast("list[Any]", value)]
        except Misfit as err:
            raise err.inside("[]") from None

    return convert


def _map(lower: Conversion) -> Conversion:
    def convert(value: object) -> object:
        if not isinstance(value, Mapping):
            raise Misfit(f"expected a dict, got {type(value).__name__}")
        given: Mapping[Any, Any] = value
        try:
            return {_string(key): lower(each) for key, each in given.items()}
        except Misfit as err:
            raise err.inside("{}") from None

    return convert


def _symbol(symbols: tuple[str, ...], cls: type[enum.Enum] | None) -> Conversion:
    known = frozenset(symbols)

    def convert(value: object) -> object:
        word = value.value if isinstance(value, enum.Enum) else value
        if not isinstance(word, str) or word not in known:
            raise Misfit("not one of the enum's symbols")
        if isinstance(value, enum.Enum) and cls is not None and type(value) is not cls:
            raise Misfit(f"expected {cls.__qualname__}, got {type(value).__name__}")
        return str(word)

    return convert


def _sized(size: int) -> Conversion:
    def convert(value: object) -> object:
        if not isinstance(value, bytes) or len(value) != size:
            raise Misfit(f"expected {size} bytes")
        return value

    return convert


def _null(value: object) -> object:
    if value is not None:
        raise Misfit(f"expected None, got {type(value).__name__}")
    return value


def _boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise Misfit(f"expected bool, got {type(value).__name__}")
    return value


def _integer(kind: str, allowed: range) -> Conversion:
    def convert(value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Misfit(f"expected int, got {type(value).__name__}")
        if value not in allowed:
            raise Misfit(f"out of the range of Avro's {kind}")
        return int(value)

    return convert


def _floating(kind: str, exact: range) -> Conversion:
    def convert(value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            if value not in exact:
                raise Misfit(f"an integer that {kind} cannot hold exactly")
        elif not isinstance(value, float):
            raise Misfit(f"expected float, got {type(value).__name__}")
        elif kind == "float" and FLOAT_MAX < abs(value) < float("inf"):
            raise Misfit("out of the range of Avro's float")
        return float(value)

    return convert


def _bytes(value: object) -> object:
    if not isinstance(value, bytes):
        raise Misfit(f"expected bytes, got {type(value).__name__}")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Misfit(f"expected str, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as err:
        raise Misfit("text with a lone surrogate has no UTF-8") from err
    return value


_PRIMITIVES: Final[dict[str, Conversion]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer("int", INT_RANGE),
    "long": _integer("long", LONG_RANGE),
    "float": _floating("float", _EXACT_AS_FLOAT),
    "double": _floating("double", _EXACT_AS_DOUBLE),
    "bytes": _bytes,
    "string": _string,
}


def _is_float32(value: float) -> bool:
    """Whether 32 bits hold it: elsewhere a union's double is the better branch."""
    try:
        (back,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return False
    return back == value or isnan(value)


_EXACTLY: Final[dict[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool) and value in INT_RANGE,
    "long": lambda value: isinstance(value, int) and not isinstance(value, bool) and value in LONG_RANGE,
    "float": lambda value: isinstance(value, float) and _is_float32(value),
    "double": lambda value: isinstance(value, float),
    "bytes": lambda value: isinstance(value, bytes),
    "string": lambda value: isinstance(value, str) and not isinstance(value, enum.Enum),
}
