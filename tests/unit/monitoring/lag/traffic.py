"""A cluster in memory whose partitions are written by a schedule, so that the age of every record is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from penstock.errors import KafkaUnavailable
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.polled import Partition
from penstock.kafka.survey import GroupSummary, TimedOffset

P: Partition = ("in", 0)


@dataclass
class Log:
    """A partition.

    Attributes:
        times_ms: of its records, by offset; a None is a marker or a record that was taken away.
        begin: the first offset that is left.
        open_from: where an open transaction begins; None = there is none.
        unread: offsets of what no read_committed consumer is given though it is there: markers, aborted records.
    """

    times_ms: list[int | None] = field(default_factory=list[int | None])
    begin: int = 0
    open_from: int | None = None
    unread: set[int] = field(default_factory=set[int])

    def extent(self) -> Extent:
        end = len(self.times_ms)
        return Extent(self.begin, end if self.open_from is None else self.open_from, end)

    def first_from(self, asked_ms: int) -> TimedOffset:
        for offset in range(self.begin, len(self.times_ms)):
            time_ms = self.times_ms[offset]
            if time_ms is not None and time_ms >= asked_ms:
                return TimedOffset(offset, time_ms)
        return TimedOffset(None, None)

    def next_ms(self, offset: int) -> int | None:
        """The time of the next record from there on that can be read."""
        readable = enumerate(self.times_ms[offset : self.extent().last_stable], offset)
        return next((t for at, t in readable if t is not None and at not in self.unread), None)


@dataclass
class InMemoryCluster:
    """`observer.Cluster`.

    Attributes:
        logs: of the partitions.
        commits: of the groups.
        members: of the groups: what each group's members have between them; a group that is not here has none.
        silent: what does not answer.
        asked: how often what was asked.
        are_compacted: topics.
    """

    logs: dict[Partition, Log]
    commits: dict[str, dict[Partition, Committed]] = field(default_factory=dict[str, "dict[Partition, Committed]"])
    members: dict[str, set[Partition]] = field(default_factory=dict[str, "set[Partition]"])
    silent: set[object] = field(default_factory=set[object])
    asked: Counter[str] = field(default_factory=Counter[str])
    are_compacted: frozenset[str] = frozenset()

    def commit(self, group: str, offset: int, place: Partition = P, metadata: str = "") -> None:
        self.commits.setdefault(group, {})[place] = Committed(offset, metadata)

    def groups(self) -> list[str]:
        if "groups" in self.silent:
            raise KafkaUnavailable("planted")
        return sorted(self.commits.keys() | self.members.keys())

    def described(self, groups: Collection[str]) -> dict[str, GroupSummary]:
        return {
            group: GroupSummary("STABLE", 1, frozenset(self.members[group]))
            if group in self.members
            else GroupSummary("EMPTY", 0)
            for group in groups
        }

    def partitions(self) -> dict[str, int]:
        return dict(Counter(topic for topic, _ in self.logs))

    def compacted(self, topics: Collection[str]) -> frozenset[str]:
        return self.are_compacted.intersection(topics)

    def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        if group in self.silent:
            raise KafkaUnavailable("planted")
        asked = set(partitions)
        return {place: offset for place, offset in self.commits.get(group, {}).items() if place in asked}

    def extents(self, partitions: Collection[Partition]) -> dict[Partition, Extent]:
        return {place: self.logs[place].extent() for place in partitions if place not in self.silent}

    def at_times(self, times_ms: Mapping[Partition, int]) -> dict[Partition, TimedOffset]:
        self.asked["times"] += 1
        return {place: self.logs[place].first_from(asked_ms) for place, asked_ms in times_ms.items()}

    def has_record_from(self, place: Partition, next_offset: int) -> bool:
        self.asked["probe"] += 1
        return self.logs[place].next_ms(next_offset) is not None
