"""Record batches put together field by field, as the format's description says."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Pair = tuple[bytes | None, bytes | None]

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
TRANSACTIONAL, CONTROL, APPEND_TIME = 16, 32, 8


def crc_bit_by_bit(data: bytes) -> int:
    """CRC-32C as its definition has it: a register, shifted once per bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def varint(number: int) -> bytes:
    """Zigzag, then seven bits a byte."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left])


def sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(delta: int, pair: Pair, *, delta_ms: int = 0, headers: Sequence[tuple[str, bytes | None]] = ()) -> bytes:
    """One record, its length in front."""
    body = b"\0" + varint(delta_ms) + varint(delta) + sized(pair[0]) + sized(pair[1]) + varint(len(headers))
    body += b"".join(sized(name.encode()) + sized(value) for name, value in headers)
    return varint(len(body)) + body


def batch(
    base_offset: int,
    records: Sequence[bytes],
    *,
    last_delta: int | None = None,
    producer: tuple[int, int] = (-1, -1),
    attributes: int = 0,
    payload: bytes | None = None,
    count: int | None = None,
    base_ms: int = 1_000,
    max_ms: int = 9_000,
    magic: int = 2,
) -> bytes:
    """A batch around these records; whatever is named replaces what would follow from them."""
    last_delta = len(records) - 1 if last_delta is None else last_delta
    checked = struct.pack(">hi", attributes, last_delta) + struct.pack(">qq", base_ms, max_ms)
    checked += struct.pack(">qhi", *producer, 0) + struct.pack(">i", len(records) if count is None else count)
    checked += b"".join(records) if payload is None else payload
    tail = struct.pack(">ib", 0, magic) + struct.pack(">I", crc_bit_by_bit(checked)) + checked
    return struct.pack(">qi", base_offset, len(tail)) + tail


def data(base_offset: int, *pairs: Pair, producer: tuple[int, int] = (-1, -1), transactional: bool = False) -> bytes:
    """A batch of plain records."""
    records = [record(place, pair) for place, pair in enumerate(pairs)]
    return batch(base_offset, records, producer=producer, attributes=TRANSACTIONAL if transactional else 0)


def marker(offset: int, producer: tuple[int, int], kind: int) -> bytes:
    """A control batch: 0 = abort, 1 = commit."""
    value = struct.pack(">hi", 0, 7)  # version, the coordinator's epoch
    return batch(
        offset,
        [record(0, (struct.pack(">hh", 0, kind), value))],
        producer=producer,
        attributes=TRANSACTIONAL | CONTROL,
    )
