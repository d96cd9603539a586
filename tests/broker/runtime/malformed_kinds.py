"""Orders in Avro, and dozens of ways to spoil one; by hand, so that the check shares no code with what it checks."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import msgspec

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.topic import Topic
from penstock.testing.memory_registry import MemoryRegistry
from tests.broker.harness.topics import Row

SCHEMA = """{"type": "record", "name": "Order", "namespace": "shop", "fields": [
  {"name": "id", "type": "long"}, {"name": "note", "type": "string"}, {"name": "paid", "type": "boolean"},
  {"name": "tags", "type": {"type": "array", "items": "string"}}, {"name": "extra", "type": ["null", "string"]},
  {"name": "ratio", "type": "double"}]}"""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    note: str
    paid: bool
    tags: list[str]
    extra: str | None
    ratio: float
    __avro_schema__: ClassVar[str] = SCHEMA


def zigzag(number: int) -> bytes:
    """Avro's long, written down here once more so that the check shares no code with what it checks."""
    value, out = (number << 1) ^ (number >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def text(data: bytes) -> bytes:
    return zigzag(len(data)) + data


def good(frame: bytes, number: int) -> bytes:
    tags = zigzag(2) + text(b"a") + text(b"b") + zigzag(0)
    body = zigzag(number) + text(b"note") + b"\x01" + tags + zigzag(1) + text(b"more")
    return frame + body + struct.pack("<d", 0.5)


class Malformed(NamedTuple):
    """One way to spoil a record, and the word that its dead letter has to have for it."""

    kind: str
    reason: str
    key: bytes | None
    value: bytes | None


def malformed(frame: bytes) -> Iterator[Malformed]:
    """All of them."""
    whole = good(frame, 7)
    yield from [
        Malformed("no value", "tombstone", b"k", None),
        Malformed("no bytes", "frame", b"k", b""),
        Malformed("a wrong magic byte", "magic_byte", b"k", b"\x01" + whole[1:]),
        Malformed("text", "magic_byte", b"k", b"hello"),
        Malformed("JSON", "magic_byte", b"k", b'{"id": 7}'),
        Malformed("an unknown schema", "unknown_schema", b"k", b"\x00\x7f\xff\xff\xff" + whole[5:]),
        Malformed("schema 0", "unknown_schema", b"k", b"\x00\x00\x00\x00\x00" + whole[5:]),
        Malformed("a key that is no UTF-8", "utf8", b"\xff\xfe", whole),
        Malformed("a byte behind the end", "trailing_bytes", b"k", whole + b"\x00"),
        Malformed("another record behind the end", "trailing_bytes", b"k", whole + whole),
    ]
    for length in (1, 4, 5, 6, 8, 11, 12, 14, 16, 18, 22, 26, len(whole) - 1):
        reason = "frame" if length < len(frame) else "truncated"
        yield Malformed(f"cut behind {length} bytes", reason, b"k", whole[:length])
    front = frame + zigzag(7)
    noted = front + text(b"n")
    rest = b"\x01" + zigzag(0) + zigzag(0) + struct.pack("<d", 0.5)
    yield from [
        Malformed("a number without an end", "varint", b"k", frame + b"\xff" * 11),
        Malformed("a negative length", "truncated", b"k", front + zigzag(-3) + rest),
        Malformed("a length beyond the end", "truncated", b"k", front + zigzag(10**9) + rest),
        Malformed("a length beyond reason", "truncated", b"k", front + zigzag(2**62) + rest),
        Malformed("a text that is no UTF-8", "utf8", b"k", front + text(b"\xff\xfe") + rest),
        Malformed(
            "a boolean of 2",
            "boolean",
            b"k",
            noted + b"\x02" + zigzag(0) + zigzag(0) + struct.pack("<d", 0.5),
        ),
        Malformed(
            "way 2 of a union of two",
            "union_index",
            b"k",
            noted + b"\x01" + zigzag(0) + zigzag(2) + struct.pack("<d", 1),
        ),
        Malformed(
            "a negative way of a union",
            "union_index",
            b"k",
            noted + b"\x01" + zigzag(0) + zigzag(-1) + b"\x00" * 8,
        ),
        Malformed("an array beyond reason", "truncated", b"k", noted + b"\x01" + zigzag(2**40) + b"\x00" * 20),
    ]


def registered(name: str) -> tuple[MemoryRegistry, bytes]:
    """A registry with the schema, and what stands in front of each order. The same in every process."""
    registry = MemoryRegistry()
    return registry, b"\x00" + registry.register(f"{name}-in-value", SCHEMA).id.to_bytes(4, "big")


def is_good(place: int, partitions: int) -> bool:
    """A tenth of each partition is."""
    return place // partitions % 10 == 0


def kind_at(kinds: Sequence[Malformed], place: int) -> Malformed:
    """How the record at a place that is not good is spoilt: all kinds in turn."""
    return kinds[(place * 7919) % len(kinds)]


def rows(frame: bytes, count: int, partitions: int) -> list[Row]:
    """All kinds in turn, a tenth of them good; the number of a good one is its place."""
    kinds = list(malformed(frame))
    made: list[Row] = []
    for place in range(count):
        partition = place % partitions
        if is_good(place, partitions):
            made.append(Row(b"k", good(frame, place), partition))
        else:
            spoilt = kind_at(kinds, place)
            made.append(Row(spoilt.key, spoilt.value, partition))
    return made


def reading(name: str) -> Pipeline:
    """Writes the number of each order."""
    made = Pipeline(name, on_error="dead_letter")
    orders = made.stream(Topic(f"{name}-in", key=str, value=Order))
    orders.map(lambda order: str(order.id), name="id").to(Topic(f"{name}-out", key=str, value=str))
    return made
