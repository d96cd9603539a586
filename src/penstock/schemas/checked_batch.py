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
        for field in root.fields:
            plain = twin(field.type, classes)
            types.append((field.name, Any if plain is _NOT_PLAIN else plain))
            if plain is _NOT_PLAIN:
                attribute = attributes[field.name]
                get: Callable[[Any], Any] = itemgetter(attribute) if self._cls is dict else attrgetter(attribute)
                self._special.append((field.name, get, lowering.of(field.type)))
        return _struct(root.name, types)


_NOT_PLAIN: Final = object()


def twin(node: Node, classes: Classes) -> Any:  # noqa: PLR0911 - one return per kind of node
    """The type that msgspec checks a field's plain value against; `_NOT_PLAIN` where Python must look."""
    match node:
        case Primitive(kind=kind, logical=None) if kind != "float":
            return _PLAIN[kind]
        case Fixed(size=size, logical=None):
            return Annotated[bytes, msgspec.Meta(min_length=size, max_length=size)]
        case Enum(symbols=symbols) if symbols:
            return Literal[symbols]
        case Union(branches=branches):
            return _nullable(branches, classes)
        case Array(items=items):
            inner = twin(items, classes)
            return inner if inner is _NOT_PLAIN else _LIST[inner]
        case Map(values=values):
            inner = twin(values, classes)
            return inner if inner is _NOT_PLAIN else _DICT[str, inner]
        case Record() if node.fields and is_msgspecs(classes.of(node)) and not shape(node).is_recursive:
            types = [(field.name, twin(field.type, classes)) for field in node.fields]
            return _NOT_PLAIN if any(each is _NOT_PLAIN for _, each in types) else _struct(node.name, types)
        case _:
            return _NOT_PLAIN


def _nullable(branches: tuple[Node, ...], classes: Classes) -> Any:
    """Null or one scalar: the one kind of union in which fastavro cannot choose wrongly."""
    others = [each for each in branches if not (isinstance(each, Primitive) and each.kind == "null")]
    if len(branches) != 2 or len(others) != 1 or not isinstance(others[0], Primitive | Fixed | Enum):
        return _NOT_PLAIN
    inner = twin(others[0], classes)
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
