"""What has to be known of a value type: whether its values can be changed, and whether they hold sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from msgspec import inspect

_FIXED: Final = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.BytesType,
    inspect.DecimalType,
    inspect.UUIDType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.Metadata,
    inspect.UnionType,
    inspect.TupleType,
    inspect.VarTupleType,
    inspect.FrozenSetType,
)
"""Fixed themselves; what they hold is looked at on its own."""

_CLASSES: Final = (inspect.StructType, inspect.DataclassType, inspect.NamedTupleType, inspect.TypedDictType)


class ValueTypeFacts(NamedTuple):
    """What is known of a type.

    Attributes:
        is_immutable: no value of this type, nor anything in it, can be changed, so that two readers may share one
            object. True for the usual scalars, enums, tuples, frozen sets, named tuples, frozen structs and frozen
            dataclasses, if what they hold is immutable too. In doubt, False.
        holds_sets: a value of this type may hold a set, whose order differs from process to process.
    """

    is_immutable: bool
    holds_sets: bool


def facts_of(declared: Any) -> ValueTypeFacts:
    """What is known of this type, looked at once: a store is declared, checked and opened by each task again.

    Raises:
        TypeError: it is no type that msgspec can carry.
    """
    try:
        hash(declared)
    except TypeError:  # an annotation may hold anything, a dictionary too
        return _looked_at(declared)
    return _known(declared)


def _looked_at(declared: Any) -> ValueTypeFacts:
    parts = list(_parts(inspect.type_info(declared), set()))
    return ValueTypeFacts(
        is_immutable=all(isinstance(part, _FIXED) or _is_frozen_class(part) for part in parts),
        holds_sets=any(isinstance(part, inspect.SetType | inspect.FrozenSetType) for part in parts),
    )


_known = lru_cache(maxsize=256)(_looked_at)


def _is_frozen_class(info: inspect.Type) -> bool:
    if isinstance(info, inspect.StructType):
        return info.cls.__struct_config__.frozen
    if isinstance(info, inspect.DataclassType):
        parameters: Any = getattr(info.cls, "__dataclass_params__", None)
        return dataclasses.is_dataclass(info.cls) and bool(parameters.frozen)
    return isinstance(info, inspect.NamedTupleType)


def _parts(info: inspect.Type, seen: set[type]) -> Iterator[inspect.Type]:
    """The type itself and every type in it, classes once."""
    if isinstance(info, _CLASSES):
        if info.cls in seen:
            return
        seen.add(info.cls)
    yield info
    for part in _inner(info):
        yield from _parts(part, seen)


def _inner(info: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(info, _CLASSES):
        return tuple(field.type for field in info.fields)
    match info:
        case inspect.UnionType():
            return info.types
        case inspect.TupleType():
            return info.item_types
        case inspect.CollectionType():
            return (info.item_type,)
        case inspect.DictType():
            return (info.key_type, info.value_type)
        case _:
            return (info.type,) if isinstance(info, inspect.Metadata) else ()
