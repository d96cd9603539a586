"""A strict walk over encoded bytes that builds nothing: the judge of what fastavro would accept or die of.

fastavro reads varints of any length, takes a negative count of 2^63 for nothing, recurses in C without a limit, and
fills memory with items of no bytes. The walk is Python and costs more than decoding, so it runs only where it can make
a difference (`reading.py`): on records with nine bytes above 0x7f in a row, and for schemas that recurse or have
arrays of items without bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from penstock.schemas.malformed import Malformed
from penstock.schemas.nodes import Array, Enum, Fixed, Map, Node, Primitive, Record, Union

MAX_DEPTH: Final = 128
"""Records inside records. fastavro recurses in C and kills the process at some ten thousand."""
MAX_ZERO_WIDTH_ITEMS: Final = 10_000
"""Array items per record that take no byte; five bytes could otherwise claim a hundred million."""

Step: TypeAlias = Callable[[bytes, int, "Walk"], int]
"""Given the bytes and a position, the position behind one value."""


class Walk:
    """What is counted over one record."""

    __slots__ = ("depth", "zero_width_items")

    def __init__(self) -> None:
        self.depth = 0
        self.zero_width_items = 0


def walker(root: Node) -> Callable[[bytes, int], None]:
    """A function of (bytes, start) that returns if they are exactly one well-formed value.

    Raises (the function):
        Malformed: they are not.
    """
    step = _Steps().of(root)

    def check(data: bytes, start: int) -> None:
        end = step(data, start, Walk())
        if end != len(data):
            raise Malformed("trailing_bytes", f"{len(data) - end} bytes too many")

    return check


def is_zero_width(node: Node) -> bool:
    """Whether a value takes no bytes at all. A recursive record takes some, or it could not end."""
    match node:
        case Primitive(kind="null"):
            return True
        case Fixed(size=size):
            return size == 0
        case Record(fields=fields):
            return all(is_zero_width(field.type) for field in fields)
        case _:
            return False


def varint(data: bytes, at: int) -> tuple[int, int]:
    """One zig-zag integer of at most 64 bits in at most ten bytes, and the position behind it."""
    value = shift = 0
    for position in range(at, min(at + 10, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    else:
        if len(data) - at < 10:
            raise Malformed("truncated", "the bytes end inside a number")
    raise Malformed("varint", "a number of more than 64 bits")


def _long(data: bytes, at: int, _walk: Walk) -> int:
    return varint(data, at)[1]


def _int(data: bytes, at: int, _walk: Walk) -> int:
    value, end = varint(data, at)
    if not -(2**31) <= value < 2**31:
        raise Malformed("int_range", "an int of more than 32 bits")
    return end


def _null(_data: bytes, at: int, _walk: Walk) -> int:
    return at


def _boolean(data: bytes, at: int, _walk: Walk) -> int:
    if data[at : at + 1] not in (b"\x00", b"\x01"):
        reason = "boolean" if at < len(data) else "truncated"
        raise Malformed(reason, "a boolean is neither 0 nor 1")
    return at + 1


def _blob(data: bytes, at: int, _walk: Walk) -> int:
    size, start = varint(data, at)
    if not 0 <= size <= len(data) - start:
        raise Malformed("truncated", "a length beyond the end")
    return start + size


def _sized(size: int) -> Step:
    def step(data: bytes, at: int, _walk: Walk) -> int:
        if size > len(data) - at:
            raise Malformed("truncated", f"{size} bytes expected, {len(data) - at} left")
        return at + size

    return step


_PRIMITIVES: Final[dict[str, Step]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _sized(4),
    "double": _sized(8),
    "bytes": _blob,
    "string": _blob,
}


class _Steps:
    """Compiles nodes to steps; a node that is being compiled is entered through `_later`."""

    def __init__(self) -> None:
        self._made: dict[int, Step] = {}

    def of(self, node: Node) -> Step:  # noqa: PLR0911 - one return per kind of node
        match node:
            case Primitive(kind=kind):
                return _PRIMITIVES[kind]
            case Fixed(size=size):
                return _sized(size)
            case Enum(symbols=symbols):
                return _enum(len(symbols))
            case Array(items=items):
                return _blocks(self.of(items), is_zero_width(items))
            case Map(values=values):
                inner = self.of(values)
                return _blocks(lambda data, at, walk: inner(data, _blob(data, at, walk), walk), is_free=False)
            case Union(branches=branches):
                return _union([self.of(branch) for branch in branches])
            case Record():
                return self._record(node)

    def _record(self, node: Record) -> Step:
        if id(node) not in self._made:
            steps: list[Step] = []

            def step(data: bytes, at: int, walk: Walk) -> int:
                walk.depth += 1
                if walk.depth > MAX_DEPTH:
                    raise Malformed("too_deep", f"records nest deeper than {MAX_DEPTH}")
                for each in steps:
                    at = each(data, at, walk)
                walk.depth -= 1
                return at

            self._made[id(node)] = step
            steps.extend(self.of(field.type) for field in node.fields)
        return self._made[id(node)]


def _enum(count: int) -> Step:
    def step(data: bytes, at: int, _walk: Walk) -> int:
        index, end = varint(data, at)
        if not 0 <= index < count:
            raise Malformed("enum_index", f"index {index} of an enum of {count} symbols")
        return end

    return step


def _union(steps: list[Step]) -> Step:
    def step(data: bytes, at: int, walk: Walk) -> int:
        index, end = varint(data, at)
        if not 0 <= index < len(steps):
            raise Malformed("union_index", f"index {index} of a union of {len(steps)} branches")
        return steps[index](data, end, walk)

    return step


def _blocks(item: Step, is_free: bool) -> Step:
    def step(data: bytes, at: int, walk: Walk) -> int:
        while True:
            count, at = varint(data, at)
            if count == 0:
                return at
            if count < 0:
                # A negative count comes with the block's size in bytes, which readers need not believe.
                count, (_, at) = -count, varint(data, at)
            if is_free:
                walk.zero_width_items += count
                if walk.zero_width_items > MAX_ZERO_WIDTH_ITEMS:
                    raise Malformed("zero_width", f"more than {MAX_ZERO_WIDTH_ITEMS:,} items that take no bytes")
            elif count > len(data) - at:
                raise Malformed("block_count", f"a block of {count:,} items in {len(data) - at} bytes")
            else:
                for _ in range(count):
                    at = item(data, at, walk)

    return step
