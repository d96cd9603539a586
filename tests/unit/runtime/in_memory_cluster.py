"""What the brokers of the small cluster in memory hold (`in_memory.py`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from penstock.kafka.consumer import Committed
from penstock.kafka.group_members import GroupMember
from penstock.kafka.partitioner import partition_for
from penstock.kafka.reader import RawRecord
from penstock.operators.topic_bounds import TopicBounds
from penstock.record import Headers, Record
from penstock.runtime.merge import Partition
from penstock.state.offset_metadata import OffsetMetadata

T = TypeVar("T")

Fault = Literal["retriable", "aborted", "fenced", "unknown, done", "unknown, lost"]
Row = tuple[int, bytes | None, bytes | None, int]
"""Offset, key, value, timestamp."""


class Written(NamedTuple):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0

    @property
    def size_bytes(self) -> int:
        return sum(len(part) for part in (self.key or b"", self.value or b"", *(v or b"" for _, v in self.headers)))


@dataclass
class Cluster:
    """What the brokers hold.

    Attributes:
        inputs: rows per partition, offsets ascending, with gaps where control records are.
        begins: where a partition begins, if that is not at 0.
        ends: where a partition ends, if that is behind its last row: control records stand there.
        offsets: of the group.
        transactions: what became visible: records and offsets, one pair per transaction.
        faults: {(call, how manyeth, from 1): what happens}.
        refuses: why a topic refuses a record; None = it does not. All that a transaction has for the topic is blamed.
        bounds: what topics take, where it has changed since the worker was started.
        headers: of rows in `inputs` that have any, by partition and offset.
        dead_letter_width: partitions of a dead-letter topic; None = as many as what it belongs to has.
    """

    inputs: dict[Partition, list[Row]]
    begins: dict[Partition, int] = field(default_factory=dict[Partition, int])
    ends: dict[Partition, int] = field(default_factory=dict[Partition, int])
    offsets: dict[Partition, Committed] = field(default_factory=dict[Partition, Committed])
    transactions: list[tuple[list[Written], dict[Partition, tuple[int, str]]]] = field(default_factory=list[Any])
    faults: dict[tuple[str, int], Fault] = field(default_factory=dict[tuple[str, int], Fault])
    refuses: Callable[[Written], str | None] = lambda _: None
    bounds: dict[str, TopicBounds] = field(default_factory=dict[str, TopicBounds])
    calls: Counter[str] = field(default_factory=Counter[str])
    headers: dict[tuple[Partition, int], Headers] = field(default_factory=dict[tuple[Partition, int], Headers])
    dead_letter_width: int | None = None
    epoch: int = 0
    generation: int = 1
    is_eager: bool = False
    group: list[GroupMember] = field(default_factory=list[GroupMember])

    def values(self, topic: str) -> list[bytes | None]:
        return [w.value for written, _ in self.transactions for w in written if w.topic == topic]

    def changelog(self, topic: str, partition: int) -> list[RawRecord]:
        rows = [w for written, _ in self.transactions for w in written if (w.topic, w.partition) == (topic, partition)]
        return [raw(offset, row.key, row.value) for offset, row in enumerate(rows)]

    def position_of(self, partition: Partition) -> int | None:
        found = self.offsets.get(partition)
        return None if found is None else found.next_offset

    def end(self, partition: Partition) -> int:
        rows = self.inputs[partition]
        return max(self.ends.get(partition, 0), rows[-1][0] + 1 if rows else 0)

    def width(self, topic: str) -> int:
        return sum(name == topic for name, _ in self.inputs)

    def commit(self, records: list[Written], offsets: dict[Partition, tuple[int, str]]) -> None:
        self.transactions.append((records, offsets))
        self.offsets |= {partition: Committed(*offset) for partition, offset in offsets.items()}

    def deliver(self, records: list[Written]) -> None:
        """What goes to a topic that is read here stands in its partitions, the transaction's marker behind it."""
        touched: set[Partition] = set()
        for record in records:
            if self.width(record.topic):
                where = (record.topic, record.partition)
                if record.partition < 0:
                    where = (record.topic, partition_for(record.key or b"", self.width(record.topic)))
                offset = self.end(where)
                self.inputs[where].append((offset, record.key, record.value, record.timestamp_ms))
                self.headers[where, offset] = record.headers
                touched.add(where)
        for where in touched:
            self.ends[where] = self.end(where) + 1


@dataclass
class Told(Generic[T]):
    """An answer that is there at once."""

    value: T

    def get(self) -> T:
        return self.value


def raw(offset: int, key: bytes | None, value: bytes | None) -> RawRecord:
    return Record(key=key, value=value, headers=(), timestamp_ms=0, topic="changelog", partition=0, offset=offset)


def metadata(sequence: int, writer: str = "p.0") -> str:
    return str(OffsetMetadata(sequence=sequence, writer=writer, owner_epoch=1))
