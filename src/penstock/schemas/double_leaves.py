"""Where the doubles are in values made of dicts and lists, found without a Python loop.

msgspec turns a `Decimal` into a float without a word, even strictly. A field of doubles that is given 0.1 as a Decimal
would store another number, so the types of what stands there are looked at: a set of types per batch, made by iterators
in C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, Final, TypeAlias

from penstock.schemas.nodes import Array, Map, Node, Primitive, Record, Union

Leaves: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]
"""Given values of a type, what stands at one of its doubles; None where a null is."""

_TAKEN: Final = frozenset((float, int, type(None)))


def hold_numbers_only(values: Iterable[Any], leaves: Iterable[Leaves]) -> bool:
    """Whether every double is a float or an int, or the null of its union."""
    return all(_TAKEN.issuperset(map(type, leaf(values))) for leaf in leaves)


def double_leaves(node: Node) -> list[Leaves]:
    """One function per double in a type that does not contain itself; empty where it has none."""
    match node:
        case Primitive(kind="double", logical=None):
            return [iter]
        case Union(branches=branches):
            inner = [leaf for branch in branches for leaf in double_leaves(branch)]
            return [partial(_behind, partial(filter, _is_not_none), leaf) for leaf in inner]
        case Array(items=items):
            return [partial(_behind, chain.from_iterable, leaf) for leaf in double_leaves(items)]
        case Map(values=values):
            return [partial(_behind, _all_values, leaf) for leaf in double_leaves(values)]
        case Record(fields=fields):
            return [leaf for field in fields for leaf in in_field(field.name, field.type)]
        case _:
            return []


def in_field(name: str, node: Node) -> list[Leaves]:
    """The doubles in one field of records."""
    return [partial(_behind, partial(map, itemgetter(name)), leaf) for leaf in double_leaves(node)]


def _behind(first: Leaves, then: Leaves, values: Iterable[Any]) -> Iterable[Any]:
    return then(first(values))


def _is_not_none(value: Any) -> bool:
    return value is not None


def _all_values(values: Iterable[dict[str, Any]]) -> Iterable[Any]:
    return chain.from_iterable(map(dict.values, values))
