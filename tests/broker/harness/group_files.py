"""A group's commits, one after the other, as the files of `__consumer_offsets` tell them.

key   = version i16 (1 = an offset) | group | topic | partition i32          texts with an i16 length
value = version i16 (1 to 3) | offset i64 | leader epoch i32, from version 3 on | metadata | ...
"""

from __future__ import annotations

import struct
from pathlib import Path

from demo.broker_faults import java_hash
from penstock.testing.segments import Fate, read_partition
from tests.broker.harness.bare_reader import CommittedOffset

PARTITIONS = 4
"""Of the topic, on an embedded broker."""


def commits_of(log_directory: Path, group: str, *fates: Fate) -> dict[tuple[str, int], list[CommittedOffset]]:
    """{(topic, partition): offsets with metadata, in the order of the log} of a group."""
    partition = java_hash(group) % PARTITIONS
    found: dict[tuple[str, int], list[CommittedOffset]] = {}
    for record in read_partition(log_directory / f"__consumer_offsets-{partition}").records(*fates):
        key, value = record.key or b"", record.value
        if value is None or struct.unpack_from(">h", key)[0] not in {0, 1}:
            continue
        name, at = _text(key, 2)
        topic, at = _text(key, at)
        if name != group:
            continue
        (number,) = struct.unpack_from(">i", key, at)
        version, offset = struct.unpack_from(">hq", value)
        assert version == 4, f"offsets of version {version}"
        found.setdefault((topic, number), []).append(CommittedOffset(offset, _compact_text(value, 14).rstrip("\0")))
    return found


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


def _compact_text(data: bytes, at: int) -> str:
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return data[at : at + length - 1].decode()
