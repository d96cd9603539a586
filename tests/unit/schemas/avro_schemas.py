"""Hypothesis strategies for Avro schemas and values that fit them. Shared by the Avro tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.unit.schemas.avro_everything import FLOAT32, FLOAT64, INT32, INT64, TEXT

_PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": INT32,
    "long": INT64,
    "float": FLOAT32,
    "double": FLOAT64,
    "bytes": st.binary(max_size=12),
    "string": TEXT,
}
# Branches that no Python value can be mistaken between: which of ["int", "long"] is meant is the libraries' choice.
_APART = ("null", "boolean", "long", "double", "bytes", "string")


@dataclass(frozen=True)
class Case:
    """A schema as JSON, and values that fit it as plain Python: dicts, lists, text, numbers, bytes."""

    schema: Any
    values: st.SearchStrategy[Any]


@st.composite
def cases(draw: st.DrawFn, *, depth: int = 3) -> Case:
    """A schema of physical types, names all different."""
    count = iter(range(10_000))
    return draw(_any(depth, lambda: f"T{next(count)}"))


def _any(depth: int, name: Callable[[], str]) -> st.SearchStrategy[Case]:
    simple = _primitive() | _fixed(name) | _enum(name)
    if depth == 0:
        return simple
    return st.one_of(simple, _array(depth, name), _map(depth, name), _record(depth, name), _union(depth, name))


def _primitive() -> st.SearchStrategy[Case]:
    return st.sampled_from(sorted(_PRIMITIVES)).map(lambda kind: Case(kind, _PRIMITIVES[kind]))


def _fixed(name: Callable[[], str]) -> st.SearchStrategy[Case]:
    return st.integers(1, 8).map(
        lambda size: Case({"type": "fixed", "name": name(), "size": size}, st.binary(min_size=size, max_size=size))
    )


def _enum(name: Callable[[], str]) -> st.SearchStrategy[Case]:
    def made(count: int) -> Case:
        symbols = [f"S{number}" for number in range(count)]
        return Case({"type": "enum", "name": name(), "symbols": symbols}, st.sampled_from(symbols))

    return st.integers(1, 4).map(made)


@st.composite
def _array(draw: st.DrawFn, depth: int, name: Callable[[], str]) -> Case:
    inner = draw(_any(depth - 1, name))
    return Case({"type": "array", "items": inner.schema}, st.lists(inner.values, max_size=3))


@st.composite
def _map(draw: st.DrawFn, depth: int, name: Callable[[], str]) -> Case:
    inner = draw(_any(depth - 1, name))
    return Case({"type": "map", "values": inner.schema}, st.dictionaries(TEXT, inner.values, max_size=3))


@st.composite
def _record(draw: st.DrawFn, depth: int, name: Callable[[], str]) -> Case:
    full = name()
    inner = draw(st.lists(_any(depth - 1, name), max_size=5))
    fields = [{"name": f"f{number}", "type": each.schema} for number, each in enumerate(inner)]
    values = st.fixed_dictionaries({f"f{number}": each.values for number, each in enumerate(inner)})
    return Case({"type": "record", "name": full, "fields": fields}, values)


@st.composite
def _union(draw: st.DrawFn, depth: int, name: Callable[[], str]) -> Case:
    kinds = draw(st.lists(st.sampled_from(_APART), min_size=1, max_size=4, unique=True))
    if {"long", "double"} <= {*kinds}:
        kinds.remove("double")  # fastavro writes an integer into whichever comes first
    branches = [Case(kind, _PRIMITIVES[kind]) for kind in kinds]
    if draw(st.booleans()):
        branches.append(draw(_array(depth, name)))
    # Only one of these two: to Python both are dicts.
    extra = draw(st.sampled_from(("none", "record", "map")))
    if extra != "none":
        branches.append(draw(_record(depth, name) if extra == "record" else _map(depth, name)))
    return Case([each.schema for each in branches], st.one_of([each.values for each in branches]))
