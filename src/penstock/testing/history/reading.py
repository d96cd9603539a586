"""A broker's log directories as a history; no client is involved, so it can judge what clients say.

The group's commits stand in `__consumer_offsets`, in the partition that the group's name hashes to, in this form:

    key   = version i16 (0 or 1: an offset) | group | topic | partition i32          texts with an i16 length
    value = version i16 | offset i64 | leader epoch i32, from version 3 on | metadata | ...

The metadata's length is an i16 up to version 3, and an unsigned varint of the length plus one from version 4 on.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from penstock.testing.history.log import NOBODY, Data, History, Log, Marker, OffsetCommit, Place, Writer
from penstock.testing.record_batch import Marker as MarkerKind
from penstock.testing.record_batch import RecordBatch, StoredRecord, UnreadableLog
from penstock.testing.segments import read_batches

OFFSETS: Final = "__consumer_offsets"


def read_history(log_directory: Path, *, group: str, topics: Iterable[str], compacted: Iterable[str] = ()) -> History:
    """See `History.read`."""
    history = History(compacted=frozenset(compacted))
    for topic in topics:
        folders = _partitions(log_directory, topic)
        if not folders:
            raise UnreadableLog(f"{log_directory} holds no partition of topic '{topic}'")
        for partition, folder in folders.items():
            history.logs[Place(topic, partition)] = read_log(folder)
    history.offsets = read_offsets(log_directory, group)
    return history


def read_log(folder: Path) -> Log[Data]:
    """One partition's folder, `<topic>-<partition>`.

    Raises:
        UnreadableLog: a checksum is wrong, offsets do not ascend, or a batch in a closed segment is incomplete.
    """
    log = Log[Data]()
    for batch in read_batches(folder):
        _go_on(log, batch)
        if not batch.is_control:
            writer = _writer(batch)
            log.entries += [Data(record, writer, batch.is_transactional) for record in batch.records()]
        elif batch.count:
            log.entries.append(_marker(batch))
    return log


def read_offsets(log_directory: Path, group: str) -> Log[OffsetCommit]:
    """A group's commits, and the markers of whoever made them.

    Raises:
        UnreadableLog: as above; or a commit is in a form that this reader does not know.
    """
    folders = _partitions(log_directory, OFFSETS)
    own = java_hash(group) % max(1, len(folders))
    # A node of several may hold a part of the partitions only: then their number is not known, nor which one it is.
    for partition in sorted(folders, key=lambda each: each != own):
        log = _offsets(folders[partition], group)
        if log.entries:
            return log
    return Log[OffsetCommit]()


def _offsets(folder: Path, group: str) -> Log[OffsetCommit]:
    log = Log[OffsetCommit]()
    ours: set[int] = set()
    for batch in read_batches(folder):
        _go_on(log, batch)
        if not batch.is_control:
            for record in batch.records():
                commit = _commit(record, batch, group)
                if commit is not None:
                    ours.add(batch.producer_id)
                    log.entries.append(commit)
        elif batch.count and batch.producer_id in ours:
            log.entries.append(_marker(batch))
    return log


def _go_on(log: Log[Data] | Log[OffsetCommit], batch: RecordBatch) -> None:
    if batch.base_offset < log.next_offset or batch.last_offset < batch.base_offset:
        raise UnreadableLog(
            f"{batch.where}: offsets {batch.base_offset} to {batch.last_offset}, and {log.next_offset} is next"
        )
    if log.next_offset == 0:
        log.start_offset = batch.base_offset  # what is missing in front was deleted, further on a cleaner was there
    else:
        log.has_gaps = log.has_gaps or batch.base_offset > log.next_offset
    log.has_gaps = log.has_gaps or batch.count != batch.last_offset - batch.base_offset + 1
    log.next_offset = batch.last_offset + 1


def _writer(batch: RecordBatch) -> Writer:
    return NOBODY if batch.producer_id < 0 else Writer(batch.producer_id, batch.producer_epoch)


def _marker(batch: RecordBatch) -> Marker:
    return Marker(batch.base_offset, _writer(batch), batch.marker() is MarkerKind.COMMIT)


def _partitions(log_directory: Path, topic: str) -> dict[int, Path]:
    name = re.compile(re.escape(topic) + r"-([0-9]+)")
    found = {int(m[1]): folder for folder in log_directory.iterdir() if (m := name.fullmatch(folder.name))}
    return dict(sorted(found.items()))


def _commit(record: StoredRecord, batch: RecordBatch, group: str) -> OffsetCommit | None:
    """The commit in a record; None for a deletion, another group, or what is no offset."""
    key, value = record.key or b"", record.value
    if value is None or struct.unpack_from(">h", key)[0] not in {0, 1}:
        return None
    name, at = _text(key, 2)
    if name != group:
        return None
    topic, at = _text(key, at)
    (partition,) = struct.unpack_from(">i", key, at)
    version, next_offset = struct.unpack_from(">hq", value)
    if not 0 <= version <= 4:
        raise UnreadableLog(f"{batch.where}: an offset commit of version {version}; this reader knows 0 to 4")
    metadata = _compact_text(value, 14) if version == 4 else _text(value, 14 if version == 3 else 10)[0]
    return OffsetCommit(
        record.offset,
        Place(topic, partition),
        next_offset,
        metadata.rstrip("\0"),  # as a client is shown it; librdkafka writes the zero behind its text along
        _writer(batch),
        batch.is_transactional,
    )


def java_hash(text: str) -> int:
    """The absolute value of `String.hashCode`: how Kafka chooses the partition of a group."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return number if number < 1 << 31 else (1 << 32) - number


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
