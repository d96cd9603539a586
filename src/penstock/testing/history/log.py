"""A history: what was appended to a cluster's logs, in order, as plain data.

A `Log` is one topic partition, or one group's part of `__consumer_offsets`: its entries in offset order, markers of
transactions among them. What became of an entry is told by `parts`: data belongs to its producer's open transaction,
and the next marker of the same producer id ends that. The marker of an abort may carry a higher epoch than the data
(the successor's), so epochs decide nothing here.

Histories are built by hand in tests, by a simulated cluster, or from a broker's files (`reading.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar

from penstock.testing.record_batch import StoredRecord
from penstock.testing.segments import Fate


class Place(NamedTuple):
    """A topic partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """`topic[partition]`."""
        return f"{self.topic}[{self.partition}]"


class Writer(NamedTuple):
    """A producer, as its batches name it; a successor with the same `transactional.id` has the next epoch."""

    producer_id: int
    producer_epoch: int

    def __str__(self) -> str:
        """For messages."""
        return "a producer without an id" if self.producer_id < 0 else f"producer {self[0]}, epoch {self[1]}"


NOBODY: Final = Writer(-1, -1)
"""A producer that is not idempotent, or a consumer that commits by itself."""


class Data(NamedTuple):
    """A record as it was appended.

    Attributes:
        record: with its offset.
        writer: who appended it.
        is_transactional: part of a transaction.
    """

    record: StoredRecord
    writer: Writer = NOBODY
    is_transactional: bool = False

    @property
    def offset(self) -> int:
        """Where it stands."""
        return self.record.offset


class OffsetCommit(NamedTuple):
    """A group's new place in one source partition.

    Attributes:
        offset: where the commit itself stands, in the group's log.
        source: the partition that is read.
        next_offset: the next offset to read there.
        metadata: the text beside it.
        writer: as for data.
        is_transactional: likewise.
    """

    offset: int
    source: Place
    next_offset: int
    metadata: str = ""
    writer: Writer = NOBODY
    is_transactional: bool = False


class Marker(NamedTuple):
    """The end of a transaction in one log.

    Attributes:
        offset: where it stands.
        writer: whose transaction; the epoch may be the successor's.
        is_commit: how it ended.
    """

    offset: int
    writer: Writer
    is_commit: bool


E = TypeVar("E", Data, OffsetCommit)


@dataclass(slots=True)
class Log(Generic[E]):
    """One log.

    Attributes:
        entries: in offset order.
        start_offset: what stood in front of it was deleted.
        next_offset: where the next entry will be appended.
        has_gaps: a cleaner has taken entries away between those that are there.
    """

    entries: list[E | Marker] = field(default_factory=list[E | Marker])
    start_offset: int = 0
    next_offset: int = 0
    has_gaps: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether everything that was ever appended is there."""
        return self.start_offset == 0 and not self.has_gaps


@dataclass(slots=True)
class Part(Generic[E]):
    """One transaction's part in one log; an entry outside of transactions is a part of its own, committed.

    Attributes:
        writer: whose.
        entries: its data, in offset order.
        fate: open until a marker is found.
        marker: None while open, and outside of transactions.
    """

    writer: Writer
    entries: list[E]
    fate: Fate = Fate.OPEN
    marker: Marker | None = None


def parts(log: Log[E]) -> list[Part[E]]:
    """The transactions' parts, in the order of their first entries."""
    found: list[Part[E]] = []
    unfinished: dict[int, Part[E]] = {}
    for entry in log.entries:
        if isinstance(entry, Marker):
            part = unfinished.pop(entry.writer.producer_id, None)
            if part is not None:
                part.fate = Fate.COMMITTED if entry.is_commit else Fate.ABORTED
                part.marker = entry
        elif not entry.is_transactional:
            found.append(Part(entry.writer, [entry], Fate.COMMITTED))
        elif (part := unfinished.get(entry.writer.producer_id)) is None:
            part = unfinished[entry.writer.producer_id] = Part(entry.writer, [entry])
            found.append(part)
        else:
            part.entries.append(entry)
    return found


@dataclass(slots=True)
class History:
    """Everything that is judged together.

    Attributes:
        logs: {topic partition: its log}; every partition of every topic that the model names.
        offsets: the group's commits.
        compacted: topics whose older records of a key may be gone.
    """

    logs: dict[Place, Log[Data]] = field(default_factory=dict[Place, Log[Data]])
    offsets: Log[OffsetCommit] = field(default_factory=Log[OffsetCommit])
    compacted: frozenset[str] = frozenset()

    @classmethod
    def read(cls, log_directory: Path, *, group: str, topics: Iterable[str], compacted: Iterable[str] = ()) -> History:
        """From a broker's `log.dirs` folder, of an embedded one `KafkaCluster.log_directory(1)`.

        The broker may run; wait until no transaction is open, or what is in flight is left out of the judgement.

        Args:
            log_directory: of one broker that leads all these partitions.
            group: whose commits.
            topics: those that the model reads and writes, `Model.topics`.
            compacted: those of them that have `cleanup.policy=compact`.

        Raises:
            UnreadableLog: a topic is not there, or a file is damaged.
        """
        from penstock.testing.history.reading import read_history  # noqa: PLC0415 - it makes histories

        return read_history(log_directory, group=group, topics=topics, compacted=compacted)

    def places(self, topic: str) -> list[Place]:
        """The partitions of a topic, ascending."""
        return sorted(place for place in self.logs if place.topic == topic)

    def open_transactions(self) -> list[str]:
        """What is not decided yet, as `topic[partition]@offset` of its first record; the group's commits too."""
        found = [
            f"{place}@{part.entries[0].offset}"
            for place, log in sorted(self.logs.items())
            for part in parts(log)
            if part.fate is Fate.OPEN
        ]
        return found + [f"offsets@{part.entries[0].offset}" for part in parts(self.offsets) if part.fate is Fate.OPEN]
