"""Readers of partitions and questions about groups, on a simulated cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from penstock.errors import KafkaUnavailable
from penstock.kafka.consumer import Committed
from penstock.kafka.error_map import by_name, from_call
from penstock.kafka.extents import Extent
from penstock.kafka.group_members import GroupMember
from penstock.kafka.group_offsets import UnstableOffsets
from penstock.kafka.reader import BEGINNING, END, Columns, Isolation, RawRecord
from penstock.record import Record
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.partition import Stored
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.refusal import Refusal

T = TypeVar("T")

Partition = tuple[str, int]

_ANSWER_DELAYS_S: Final = (0.0, 0.0, 0.005, 0.05)
_UNSTABLE_AFTER_S: Final = 0.3
_LEADER_S: Final = 30.0


def raw(partition: Partition, entry: Stored) -> RawRecord:
    """A record as readers give it."""
    topic, number = partition
    return Record(
        key=entry.key,
        value=entry.value,
        headers=entry.headers,
        timestamp_ms=entry.timestamp_ms,
        topic=topic,
        partition=number,
        offset=entry.offset,
    )


class SimulatedReader:
    """`runtime.clients.LogReader`.

    Args:
        cluster: where.
        process: whose.
        isolation: as of a Kafka consumer.

    Attributes:
        at_end: partitions that have no more now.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process, isolation: Isolation) -> None:
        self._cluster = cluster
        self._process = process
        self._isolation: Isolation = isolation
        self._positions: dict[Partition, int] = {}
        self._is_known: set[Partition] = set()
        self.at_end: set[Partition] = set()

    def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets, `BEGINNING` or `END`."""
        self._process.check()
        self.at_end.clear()
        self._is_known.clear()
        self._positions = {place: self._start(place, offset) for place, offset in starts.items()}

    def _start(self, place: Partition, offset: int) -> int:
        log = self._cluster.partition(place)
        return {BEGINNING: log.begin, END: log.end(self._isolation)}.get(offset, offset)

    def poll(self, timeout_s: float, max_records: int = 1_000) -> list[RawRecord]:
        """The next records, in offset order per partition."""
        self._process.check()
        self._cluster.clock.wait(timeout_s, self._has_news)
        self._process.check()
        found: list[RawRecord] = []
        for place, position in self._positions.items():
            if self._cluster.brokers.leader(place) is None:
                continue
            log = self._cluster.partition(place)
            if not log.begin <= position <= log.high_watermark:
                raise from_call(by_name("_AUTO_OFFSET_RESET"), f"reading {place[0]}[{place[1]}]")
            if len(found) == max_records:
                break
            entries, behind = log.fetch(position, max_records - len(found), self._isolation)
            self._positions[place] = behind
            self._is_known.add(place)
            found += [raw(place, entry) for entry in entries]
            (self.at_end.add if behind == log.end(self._isolation) else self.at_end.discard)(place)
        return found

    def _has_news(self) -> bool:
        return any(
            position < self._cluster.partition(place).end(self._isolation) or place not in self.at_end
            for place, position in self._positions.items()
            if self._cluster.brokers.leader(place) is not None
        )

    def poll_columns(self, timeout_s: float, max_records: int = 5_000) -> Columns:
        """As `poll`, for one partition."""
        records = self.poll(timeout_s, max_records)
        return Columns([r.key for r in records], [r.value for r in records], [r.offset or 0 for r in records])

    def position(self, topic: str, partition: int) -> int | None:
        """The next offset to be read; None before the first poll."""
        return self._positions[topic, partition] if (topic, partition) in self._is_known else None

    def close(self) -> None:
        """Nothing to let go of."""


def read_to_end(cluster: SimulatedCluster, process: Process, place: Partition, end: Isolation) -> Iterator[RawRecord]:
    """Every committed record up to the end of now; what is open below it is waited out."""
    if not cluster.clock.wait(_LEADER_S, lambda: cluster.brokers.leader(place) is not None):
        raise from_call(by_name("_TIMED_OUT"), f"watermarks of {place[0]}[{place[1]}]")
    try:
        last = cluster.partition(place).end(end)
    except Refusal as refusal:
        raise from_call(by_name(refusal.code), f"watermarks of {place[0]}[{place[1]}]") from refusal
    reader = SimulatedReader(cluster, process, "read_committed")
    reader.assign({place: BEGINNING})
    while (reader.position(*place) or 0) < last:
        yield from (record for record in reader.poll(0.1) if (record.offset or 0) < last)


class Told(Generic[T]):
    """An answer that comes at its time.

    Args:
        process: who has asked.
        is_here: whether it has come.
        answer: what it says.
    """

    def __init__(self, process: Process, is_here: Callable[[], bool], answer: T | KafkaUnavailable) -> None:
        self._process = process
        self._is_here = is_here
        self._answer = answer

    def get(self) -> T | None:
        """The answer; None while it has not come."""
        self._process.check()
        if not self._is_here():
            return None
        if isinstance(self._answer, KafkaUnavailable):
            raise self._answer
        return self._answer


class SimulatedGroupQuestions:
    """`runtime.clients.GroupQuestions`: answered as things are when they are asked, and told a little later.

    Args:
        cluster: where.
        process: whose.
        group: which.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process, group: str) -> None:
        self._cluster = cluster
        self._process = process
        self._group = group

    def members(self) -> Told[tuple[GroupMember, ...]]:
        """Who is in the group."""
        members = self._cluster.members(self._group)
        found = tuple(GroupMember(m.client_id, m.member_id, "/127.0.0.1") for m in members)
        return self._unless_moving() or self._told(found)

    def stable_offsets(self, partitions: Iterable[Partition]) -> Told[dict[Partition, Committed]]:
        """The committed positions; the answer raises `UnstableOffsets` while a transaction holds some."""
        if (moving := self._unless_moving()) is not None:
            return moving
        try:
            return self._told(self._cluster.groups.group(self._group).offsets.fetch(partitions, is_stable=True))
        except Refusal:
            pending = UnstableOffsets(f"committed offsets of group '{self._group}': a transaction with them is open")
            return self._told(pending, delay_s=_UNSTABLE_AFTER_S)

    def last_offsets(self, partitions: Iterable[Partition]) -> Told[dict[Partition, Committed]]:
        """What was last committed, whatever is pending behind it."""
        offsets = self._cluster.groups.group(self._group).offsets.fetch(partitions, is_stable=False)
        return self._unless_moving() or self._told(offsets)

    def extents(self, partitions: Sequence[Partition]) -> Told[dict[Partition, Extent]]:
        """Where partitions begin and end."""
        return self._led(partitions) or self._told({place: self._extent(place) for place in partitions})

    def extent(self, partition: Partition) -> Told[Extent]:
        """Where one partition begins and ends."""
        return self._led([partition]) or self._told(self._extent(partition))

    def close(self) -> None:
        """Nothing to let go of."""

    def _unless_moving(self) -> Told[Any] | None:
        """What is told while the group has no coordinator."""
        if self._cluster.groups.is_led(self._group):
            return None
        doing = f"group '{self._group}'"
        return self._told(KafkaUnavailable(f"{doing}: its coordinator is moving"), delay_s=_UNSTABLE_AFTER_S)

    def _led(self, partitions: Iterable[Partition]) -> Told[Any] | None:
        """What is told while one of these has no leader."""
        for place in partitions:
            if self._cluster.brokers.leader(place) is None:
                moving = KafkaUnavailable(f"{place[0]}[{place[1]}]: its leader is moving")
                return self._told(moving, delay_s=_UNSTABLE_AFTER_S)
        return None

    def _extent(self, place: Partition) -> Extent:
        log = self._cluster.partition(place)
        return Extent(log.begin, log.last_stable_offset, log.high_watermark)

    def _told(self, answer: T | KafkaUnavailable, delay_s: float | None = None) -> Told[T]:
        clock = self._cluster.clock
        at_s = clock.monotonic_s() + (self._cluster.random.choice(_ANSWER_DELAYS_S) if delay_s is None else delay_s)
        self._process.check()
        return Told(self._process, lambda: clock.monotonic_s() >= at_s, answer)
