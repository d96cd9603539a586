"""A producer's place in its source, kept in a compacted topic, written in the transaction it speaks of."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.errors import ConfigurationError, OperatorMustDecide
from penstock.kafka.admin import TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.partitioner import partition_for
from penstock.kafka.reader import read_to_end

FORMAT = 1
PARTITIONS = 8


class CursorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the cursor topic, as a MessagePack map; its key is the producer's name.

    Attributes:
        format: of this record; a newer one is refused.
        cursor: the source's own, of the last row that is dealt with; None before the first.
        sequence: transactions of this producer so far, this one included; never goes back.
        writer: names the process that wrote it, one life long.
        owner_epoch: how many processes have owned the producer so far.
        fingerprint: of the source; empty where it tells none.
        records: published so far, over all lives.
        dead_letters: likewise.
        written_ms: milliseconds since 1970 UTC.
    """

    format: int = FORMAT
    cursor: Any = None
    sequence: int = 0
    writer: str = ""
    owner_epoch: int = 0
    fingerprint: str = ""
    records: int = 0
    dead_letters: int = 0
    written_ms: int = 0

    @property
    def rows(self) -> int:
        """Rows dealt with so far: each is published or a dead letter."""
        return self.records + self.dead_letters


class _Version(msgspec.Struct):
    format: int


def cursor_topic(project: str, prefix: str = "") -> TopicSettings:
    """The topic of a project's cursors.

    Small segments, since only closed ones are compacted and the whole partition is read at each start.
    """
    return TopicSettings(
        f"{prefix}{project}.cursors",
        partitions=PARTITIONS,
        config={"cleanup.policy": "compact", "segment.bytes": "16777216", "segment.ms": "3600000"},
    )


def encode(record: CursorRecord) -> bytes:
    """The record's bytes.

    Raises:
        ConfigurationError: MessagePack cannot write the cursor, or would give back something else: a tuple comes back
            as a list, and a source that compares the two would find no row behind its cursor, or every one.
    """
    try:
        data = msgspec.msgpack.encode(record)
        is_kept = msgspec.msgpack.decode(data, type=CursorRecord).cursor == record.cursor
    except (TypeError, ValueError, NotImplementedError, OverflowError, RecursionError) as exc:
        raise _unkeepable(record.cursor) from exc
    if not is_kept:
        raise _unkeepable(record.cursor)
    return data


def _unkeepable(cursor: Any) -> ConfigurationError:
    return ConfigurationError(
        f"a cursor of type {type(cursor).__name__} cannot be kept as it is; use an integer, a text, bytes, "
        "an aware datetime, or lists and maps of these (no tuples)"
    )


def decode(data: bytes, where: str) -> CursorRecord:
    """The record in these bytes.

    Raises:
        OperatorMustDecide: written by a newer release, or no cursor at all; the message says which.
    """
    try:
        version = msgspec.msgpack.decode(data, type=_Version).format
        if version > FORMAT:
            raise OperatorMustDecide(
                f"{where}: cursor format {version} is newer than this release reads ({FORMAT}); run the newer release"
            )
        return msgspec.msgpack.decode(data, type=CursorRecord)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise OperatorMustDecide(
            f"{where}: no cursor record; something else writes to this topic. Nothing was published"
        ) from exc


def read_cursor(connection: Connection, topic: TopicSettings, producer: str) -> CursorRecord | None:
    """The last committed cursor of a producer; to be called after `init_transactions`, or it is not the last.

    Another producer's open transaction on the same partition is waited out.

    Raises:
        ServerUnreachable: the partition stood still for too long.
        OperatorMustDecide: what stands there is no cursor.
    """
    key = producer.encode()
    partition = partition_for(key, topic.partitions)
    last: CursorRecord | None = None
    for record in read_to_end(connection, topic.name, partition, client_id=f"{producer}.cursor"):
        if record.key == key:
            where = f"{topic.name}[{partition}]@{record.offset}"
            last = decode(record.value, where) if record.value is not None else None
    return last
