"""The logs that random histories are written to, and what stands in them."""

from __future__ import annotations

from typing import Any

from penstock.record import Headers
from penstock.testing.history import NOBODY, Data, History, Input, Log, Marker, Model, OffsetCommit, Place, Writer
from penstock.testing.history.log import parts
from penstock.testing.record_batch import StoredRecord
from penstock.testing.segments import Fate
from tests.unit.testing.history.topologies import PARTITIONS


class Brokers:
    """The logs."""

    def __init__(self, model: Model) -> None:
        self.history = History(
            {Place(topic, p): Log() for topic in model.topics for p in range(PARTITIONS[topic])}, Log[OffsetCommit]()
        )
        self.now_ms = 1_000

    def append(
        self,
        place: Place,
        key: bytes | None,
        value: bytes | None,
        writer: Writer,
        headers: Headers = (),
        time_ms: int = 0,
    ) -> int:
        self.now_ms += 1
        log = self.history.logs[place]
        record = StoredRecord(log.next_offset, time_ms or self.now_ms, key, value, headers)
        log.entries.append(Data(record, writer, writer != NOBODY))
        log.next_offset += 1
        return record.offset

    def commit(self, source: Place, next_offset: int, metadata: str, writer: Writer) -> None:
        log = self.history.offsets
        log.entries.append(OffsetCommit(log.next_offset, source, next_offset, metadata, writer, writer != NOBODY))
        log.next_offset += 1

    def mark(self, place: Place | None, writer: Writer, *, is_commit: bool) -> None:
        """End the writer's transaction in a log; None = that of the offsets."""
        log: Any = self.history.offsets if place is None else self.history.logs[place]
        log.entries.append(Marker(log.next_offset, writer, is_commit))
        log.next_offset += 1

    def readable(self, place: Place, begin: int, *, aborted: bool = False) -> list[StoredRecord]:
        """What a read_committed reader is shown from here on; with `aborted` also what it should not be."""
        found = parts(self.history.logs[place])
        end = min((part.entries[0].offset for part in found if part.fate is Fate.OPEN), default=1 << 60)
        fates = {Fate.COMMITTED, Fate.ABORTED} if aborted else {Fate.COMMITTED}
        records = [entry.record for part in found if part.fate in fates for entry in part.entries]
        return sorted((r for r in records if begin <= r.offset < end), key=lambda record: record.offset)


def works(record: Input | StoredRecord) -> bool:
    """Whether every pipeline makes an output of it."""
    number = int(record.value or b"")
    return number % 11 != 0 and number % 7 != 0 and number % 3 != 0


def as_input(place: Place, record: StoredRecord) -> Input:
    return Input(*place, record.offset, record.timestamp_ms, record.key, record.value, record.headers)


def dead_letter_headers(record: Input) -> Headers:
    told = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
    return (*record.headers, *((f"__dlq.errors.{name}", text.encode()) for name, text in told.items()))
