"""Lower a batch of records: plain fields checked in C by msgspec, the rest by `lowering.py`.

Plain are numbers, text, bytes, enums, null-or-one-of-these, and lists, maps and records of them: for those msgspec's
strict conversion into a twin type refuses what Avro cannot write, for a twentieth of what fastavro takes to write it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Final, Literal, cast
from uuid import UUID

import msgspec

from penstock.schemas.classes import Classes
from penstock.schemas.double_leaves import Leaves, hold_numbers_only, in_field
from penstock.schemas.logical import Conversion
from penstock.schemas.lowering import Lowering
from penstock.schemas.malformed import Misfit
from penstock.schemas.nodes import Array, Enum, Fixed, Map, Node, Primitive, Record, Union, shape

_INT = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_LONG = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_DOUBLE = float | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
_PLAIN: Final[dict[str, Any]] = {
    "null": None,
    "boolean": bool,
    "int": _INT,
    "long": _LONG,
    "double": _DOUBLE,
    "bytes": bytes,
    "string": str,
}
# Types made at run time are no types to a type checker.
_LIST: Any = list
_DICT: Any = dict

# What msgspec would otherwise turn into text, so that the twin sees it as it is.
_AS_IT_IS: Final = (bytes, bytearray, memoryview, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, UUID)


class CheckedBatch:
    """Lowers values of one schema."""

    def __init__(self, root: Node, classes: Classes) -> None:
        lowering = Lowering(classes)
        self._lower = lowering.of(root)
        self._cls: type | None = None
        self._twin: Any = None
        self._special: list[tuple[str, Callable[[Any], Any], Conversion]] = []
        self._doubles: list[Leaves] = []
        if isinstance(root, Record) and root.fields and is_msgspecs(classes.of(root)):
            self._cls = classes.of(root) or dict
            self._twin = _LIST[self._twin_of(root, classes, lowering)]

    def strictly(self, value: Any) -> Any:
        """One value by the strict way alone, for its words.

        Raises:
            Misfit: it does not fit.
        """
        return self._lower(value)

    def lower(self, values: Sequence[Any]) -> list[Any]:
        """The physical values.

        Raises:
            Misfit: one of them does not fit; lower them one by one to learn which.
        """
        if self._twin is None or any(type(value) is not self._cls for value in values):
            return [self._lower(value) for value in values]
        try:
            found = msgspec.to_builtins(values, builtin_types=_AS_IT_IS)
            msgspec.convert(found, self._twin)
        except (msgspec.ValidationError, TypeError, ValueError, RecursionError):
            # The strict way knows better words, and none of a value's.
            return [self._lower(value) for value in values]
        if not hold_numbers_only(found, self._doubles):
            return [self._lower(value) for value in values]
        for name, get, convert in self._special:
            for value, fields in zip(values, found, strict=True):
                try:
                    fields[name] = convert(get(value))
                except Misfit as err:
                    raise err.inside(name) from None
        return cast("list[Any]", found)

    def _twin_of(self, root: Record, classes: Classes, lowering: Lowering) -> Any:
        attributes = classes.attributes(root)
        types: list[tuple[str, Any]] = []
        twins = _Twins(classes)
        for field in root.fields:
            plain = twins.of(field.type)
            types.append((field.name, Any if plain is _NOT_PLAIN else plain))
            if plain is _NOT_PLAIN:
                attribute = attributes[field.name]
                get: Callable[[Any], Any] = itemgetter(attribute) if self._cls is dict else attrgetter(attribute)
                self._special.append((field.name, get, lowering.of(field.type)))
            else:
                self._doubles += in_field(field.name, field.type)
        return _struct(root.name, types)


_NOT_PLAIN: Final = object()


class _Twins:
    """Makes the types that msgspec checks plain values against; `_NOT_PLAIN` where Python must look."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._records: dict[int, Any] = {}

    def of(self, node: Node) -> Any:
        match node:
            case Primitive(kind=kind, logical=None) if kind != "float":
                found: Any = _PLAIN[kind]
            case Fixed(size=size, logical=None):
                found = Annotated[bytes, msgspec.Meta(min_length=size, max_length=size)]
            case Enum(symbols=symbols) if symbols:
                found = Literal[symbols]
            case Union(branches=branches):
                found = self._nullable(branches)
            case Array(items=items):
                inner = self.of(items)
                found = inner if inner is _NOT_PLAIN else _LIST[inner]
            case Map(values=values):
                inner = self.of(values)
                found = inner if inner is _NOT_PLAIN else _DICT[str, inner]
            case Record():
                found = self._record(node)
            case _:
                found = _NOT_PLAIN
        return found

    def _record(self, node: Record) -> Any:
        if id(node) not in self._records:
            self._records[id(node)] = _NOT_PLAIN  # a record that contains itself is not plain
            if node.fields and is_msgspecs(self._classes.of(node)) and not shape(node).is_recursive:
                types = [(field.name, self.of(field.type)) for field in node.fields]
                if not any(each is _NOT_PLAIN for _, each in types):
                    self._records[id(node)] = _struct(node.name, types)
        return self._records[id(node)]

    def _nullable(self, branches: tuple[Node, ...]) -> Any:
        """Null or one scalar: the one kind of union in which fastavro cannot choose wrongly."""
        others = [each for each in branches if not (isinstance(each, Primitive) and each.kind == "null")]
        if len(branches) != 2 or len(others) != 1 or not isinstance(others[0], Primitive | Fixed | Enum):
            return _NOT_PLAIN
        inner = self.of(others[0])
        return _NOT_PLAIN if inner is _NOT_PLAIN else inner | None


def _struct(name: str, types: list[tuple[str, Any]]) -> Any:
    # A field may be called `class` or `_x`: the twin calls it by number.
    fields = [(f"f{number}", kind, msgspec.field(name=field)) for number, (field, kind) in enumerate(types)]
    return msgspec.defstruct(re.sub(r"\W", "_", name), fields, forbid_unknown_fields=True, kw_only=True)


def is_msgspecs(cls: type | None) -> bool:
    """Whether msgspec turns these objects into dicts by the schema's names: all fields, and nothing else."""
    if cls is None:
        return True
    if issubclass(cls, msgspec.Struct):
        config = cls.__struct_config__
        return not (config.tag or config.omit_defaults or config.array_like)
    return not any("name" in field.metadata for field in dataclasses.fields(cast("Any", cls)))
