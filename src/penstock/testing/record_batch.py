"""Kafka's record batch, format 2, read from bytes by code that shares nothing with any client.

    base offset i64 | length i32 | leader epoch i32 | magic i8 | CRC-32C u32 | attributes i16 | last offset delta i32
    | base timestamp i64 | max timestamp i64 | producer id i64 | producer epoch i16 | base sequence i32 | count i32
    | records, compressed as a whole

All integers are big-endian; the length counts from the leader epoch on, the checksum from the attributes on. Source:
https://kafka.apache.org/documentation/#messageformat
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final, NamedTuple

from penstock.errors import Stop
from penstock.record import Headers
from penstock.testing import lz4_frame
from penstock.testing.crc32c import crc32c

_FRAME: Final = struct.Struct(">qi")
_HEADER: Final = struct.Struct(">ibIhiqqqhii")
_CHECKED_FROM: Final = 21
_RECORDS_FROM: Final = 61
_CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd", "codec 5", "codec 6", "codec 7")
_CONTROL_KEY: Final = struct.Struct(">hh")


class UnreadableLog(Stop):
    """A log file is damaged, or in a form that this reader does not know; the message names the file and the place."""


class Marker(Enum):
    """How a transaction ended, as its control record says."""

    ABORT = 0
    COMMIT = 1


class StoredRecord(NamedTuple):
    """One record as it stands in the log.

    Attributes:
        offset: in its partition.
        timestamp_ms: Kafka's, milliseconds since 1970 UTC.
        key: None = no key.
        value: None = tombstone.
        headers: in their order; empty where there are none.
    """

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """A batch whose checksum is right; its records are decoded on demand.

    Attributes:
        where: file and position, for messages.
        base_offset: of the first record; compaction may have removed that.
        last_offset: likewise of the last.
        leader_epoch: of the partition's leader that appended it.
        codec: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
        has_append_time: timestamps are the broker's instead of the producer's.
        is_transactional: part of a transaction, its marker included.
        is_control: holds a marker, no data.
        base_timestamp_ms: record timestamps count from here.
        max_timestamp_ms: the latest in the batch.
        producer_id: -1 where the producer is not idempotent.
        producer_epoch: likewise.
        base_sequence: likewise; -1 for markers.
        count: records that are in it now.
        payload: the records, as they are stored.
    """

    where: str
    base_offset: int
    last_offset: int
    leader_epoch: int
    codec: str
    has_append_time: bool
    is_transactional: bool
    is_control: bool
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes in the file, the header included."""
        return _RECORDS_FROM + len(self.payload)

    def records(self) -> list[StoredRecord]:
        """The records in offset order.

        Raises:
            UnreadableLog: a codec that is not understood (snappy, zstd), or bytes that are no records.
        """
        try:
            found = list(self._decoded(self._plain()))
        except (IndexError, ValueError, zlib.error) as err:
            raise UnreadableLog(f"{self.where}: no records: {err}") from err
        offsets = [self.base_offset - 1, *(record.offset for record in found), self.last_offset + 1]
        if any(later <= earlier for earlier, later in pairwise(offsets)):
            raise UnreadableLog(f"{self.where}: offsets of records do not ascend, or lie outside their batch")
        return found

    def marker(self) -> Marker:
        """What a control batch says.

        Raises:
            UnreadableLog: it is no marker of a transaction.
        """
        records = self.records()
        if len(records) != 1 or len(records[0].key or b"") < _CONTROL_KEY.size:
            raise UnreadableLog(f"{self.where}: a control batch without a marker")
        _, kind = _CONTROL_KEY.unpack_from(records[0].key or b"")
        if kind not in {marker.value for marker in Marker}:
            raise UnreadableLog(f"{self.where}: a control record of type {kind}, which ends no transaction")
        return Marker(kind)

    def _plain(self) -> bytes:
        match self.codec:
            case "none":
                return self.payload
            case "gzip":
                return zlib.decompress(self.payload, wbits=31)
            case "lz4":
                return lz4_frame.decompress(self.payload)
            case _:
                raise UnreadableLog(
                    f"{self.where}: compressed with {self.codec}, which this reader does not know; set the producer's "
                    "compression.type to none, gzip or lz4"
                )

    def _decoded(self, data: bytes) -> Iterator[StoredRecord]:
        at = 0
        for _ in range(self.count):
            length, at = _varint(data, at)
            end = at + length
            if not at < end <= len(data):
                raise ValueError("a record reaches beyond its batch")
            delta_ms, at = _varint(data, at + 1)  # the record's own attributes are unused
            delta, at = _varint(data, at)
            key, at = _bytes(data, at)
            value, at = _bytes(data, at)
            headers, at = _headers(data, at)
            if at != end:
                raise ValueError("a record is longer or shorter than it says")
            timestamp_ms = self.max_timestamp_ms if self.has_append_time else self.base_timestamp_ms + delta_ms
            yield StoredRecord(self.base_offset + delta, timestamp_ms, key, value, headers)
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes behind the last record")


def batches_in(data: bytes, name: str) -> Iterator[RecordBatch]:
    """The batches in these bytes, in order; an incomplete one at the end is left out.

    Args:
        data: of a segment file, from its beginning.
        name: of that file, for messages.

    Raises:
        UnreadableLog: a checksum is wrong, or the format is another.
    """
    at = 0
    while at + _FRAME.size <= len(data):
        base_offset, length = _FRAME.unpack_from(data, at)
        where = f"{name} at byte {at}"
        if length < _RECORDS_FROM - _FRAME.size:
            raise UnreadableLog(f"{where}: a batch of {length} bytes")
        end = at + _FRAME.size + length
        if end > len(data):
            return
        yield _batch(data, at, end, base_offset, where)
        at = end


def _batch(data: bytes, at: int, end: int, base_offset: int, where: str) -> RecordBatch:
    header = _HEADER.unpack_from(data, at + _FRAME.size)
    leader_epoch, magic, checksum, attributes, last_delta, base_ms, max_ms, producer, epoch, sequence, count = header
    if magic != 2:
        raise UnreadableLog(f"{where}: a batch of format {magic}; this reader knows 2 only")
    found = crc32c(memoryview(data)[at + _CHECKED_FROM : end])
    if found != checksum:
        raise UnreadableLog(f"{where}: checksum {found:08x}, the batch of offset {base_offset} says {checksum:08x}")
    return RecordBatch(
        where=where,
        base_offset=base_offset,
        last_offset=base_offset + last_delta,
        leader_epoch=leader_epoch,
        codec=_CODECS[attributes & 7],
        has_append_time=bool(attributes & 8),
        is_transactional=bool(attributes & 16),
        is_control=bool(attributes & 32),
        base_timestamp_ms=base_ms,
        max_timestamp_ms=max_ms,
        producer_id=producer,
        producer_epoch=epoch,
        base_sequence=sequence,
        count=count,
        payload=data[at + _RECORDS_FROM : end],
    )


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and the place behind it."""
    byte = data[at]
    at += 1
    number, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    return (number >> 1) ^ -(number & 1), at


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    if length < 0:
        return None, at
    return data[at : at + length], at + length


def _headers(data: bytes, at: int) -> tuple[Headers, int]:
    count, at = _varint(data, at)
    found: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _bytes(data, at)
        value, at = _bytes(data, at)
        found.append(((name or b"").decode(), value))
    return tuple(found), at
