"""An Avro schema as a typed graph: what the codec walks instead of JSON.

Names are full, references are resolved to the one node they mean (so a recursive schema is a cycle), and logical types
are recorded only where Avro 1.12 defines them for that type; an unknown logical type is ignored, as the specification
asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal, TypeAlias

PrimitiveKind = Literal["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
PRIMITIVES: Final[frozenset[str]] = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))

LOGICAL_TYPES: Final = frozenset(
    (
        ("int", "date"),
        ("int", "time-millis"),
        ("long", "time-micros"),
        ("long", "timestamp-millis"),
        ("long", "timestamp-micros"),
        ("long", "local-timestamp-millis"),
        ("long", "local-timestamp-micros"),
        ("bytes", "decimal"),
        ("fixed", "decimal"),
        ("string", "uuid"),
        ("fixed", "uuid"),
    )
)
"""The logical types that become Python values; timestamps in nanoseconds stay integers, for want of a Python type."""


@dataclass(frozen=True, slots=True)
class Logical:
    """A logical type; `precision` and `scale` are digits and mean something for `decimal` only."""

    name: str
    precision: int = 0
    scale: int = 0


class NoDefault:
    """Marks a field that must be written; distinct from a default of null."""


NO_DEFAULT: Final = NoDefault()


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """One of Avro's eight primitive types."""

    kind: PrimitiveKind
    logical: Logical | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """`size` bytes."""

    name: str
    size: int
    aliases: tuple[str, ...] = ()
    logical: Logical | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """One of `symbols`; a reader falls back to `default` on a symbol it does not know."""

    name: str
    symbols: tuple[str, ...]
    default: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """A sequence."""

    items: Node


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """String keys to values."""

    values: Node


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """One of the branches, written with its index."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A record's field; `default` is JSON as it stands in the schema."""

    name: str
    type: Node
    default: object = NO_DEFAULT
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Fields in the order they are written. The list is filled after the node exists, since a field may point back."""

    name: str
    aliases: tuple[str, ...] = ()
    fields: list[Field] = field(default_factory=list["Field"])


Node: TypeAlias = Primitive | Fixed | Enum | Array | Map | Union | Record
Named: TypeAlias = Fixed | Enum | Record


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside, in written order."""
    match node:
        case Array(items=inner) | Map(values=inner):
            return (inner,)
        case Union(branches=branches):
            return branches
        case Record(fields=fields):
            return tuple(each.type for each in fields)
        case _:
            return ()


def walk(root: Node) -> Iterator[Node]:
    """Every node once, `root` first; safe on recursive schemas."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(reversed(children(node)))


@dataclass(frozen=True, slots=True)
class Shape:
    """How large values of a schema must be.

    Attributes:
        depth: nodes inside nodes, not counting the way around a cycle.
        is_recursive: a value can contain another of its own type.
        least_values: nodes in the smallest value; infinite where a record cannot do without itself.
    """

    depth: int
    is_recursive: bool
    least_values: float


def shape(root: Node) -> Shape:
    """Measure without recursion: a chain of references can be thousands of types long."""
    depths: dict[int, int] = {}
    open_nodes: set[int] = set()
    in_order: list[Node] = []
    recursive = False
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, is_done = waiting.pop()
        if is_done:
            open_nodes.discard(id(node))
            in_order.append(node)
            depths[id(node)] = 1 + max((depths.get(id(child), 0) for child in children(node)), default=0)
        elif id(node) in open_nodes:
            recursive = True
        elif id(node) not in depths:
            open_nodes.add(id(node))
            waiting.append((node, True))
            waiting.extend((child, False) for child in children(node))
    return Shape(depths[id(root)], recursive, _least_values(in_order))


def _least_values(in_order: list[Node]) -> float:
    """For the last of `in_order`, which holds inner nodes before outer ones but for cycles: hence the rounds."""
    least: dict[int, float] = {id(node): inf for node in in_order}
    settled = False
    while not settled:
        settled = True
        for node in in_order:
            inner = [least[id(child)] for child in children(node)]
            match node:
                case Record():
                    found = 1 + sum(inner)
                case Union():
                    found = 1 + min(inner)
                case _:
                    found = 1.0
            if found < least[id(node)]:
                least[id(node)], settled = found, False
    return least[id(in_order[-1])]
