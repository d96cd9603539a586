"""The clients of the small cluster in memory: a transactional producer, a member of a group, a changelog's reader.

After any error but `Retriable` a handle may only be closed, a handle that is not the newest is fenced, a membership
that is not the live one is refused, and a position is known only after the first fetch behind a seek. They are as
lenient as the broker, too: an empty member is accepted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from penstock.batch import SourceBatch
from penstock.errors import Fenced, KafkaUnavailable, OutcomeUnknown, PenstockError, TransactionAborted
from penstock.kafka.consumer import Committed
from penstock.kafka.polled import Polled
from penstock.kafka.reader import Columns, RawRecord, Watermarks
from penstock.protocols import GroupMetadata, RefusedRecord
from penstock.record import Headers
from penstock.runtime.merge import Partition
from penstock.runtime.worker import Worker
from tests.unit.runtime.in_memory_cluster import Cluster, Fault, Written


class InMemoryProducer:
    """`protocols.TransactionalProducer`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._epoch = cluster, 0
        self._may: tuple[str, ...] = ("init",)
        self._records: list[Written] = []
        self._offsets: dict[Partition, tuple[int, str]] = {}
        self._refused: list[RefusedRecord] = []

    def _call(self, name: str, then: tuple[str, ...]) -> Fault | None:
        assert name in self._may, f"{name} on a handle that may {self._may}"
        self._cluster.calls[name] += 1
        fault = self._cluster.faults.get((name, self._cluster.calls[name]))
        if fault == "retriable":
            raise KafkaUnavailable(f"{name}: planted")
        self._may = ()
        if fault == "aborted":
            raise TransactionAborted(f"{name}: planted")
        if fault == "fenced" or (name != "init" and self._epoch != self._cluster.epoch):
            raise Fenced(f"{name}: planted or true")
        self._may = then
        return fault

    def init_transactions(self, timeout_s: float) -> None:
        del timeout_s
        self._call("init", ("begin",))
        self._cluster.epoch += 1
        self._epoch = self._cluster.epoch

    def begin_transaction(self) -> None:
        self._call("begin", ("produce", "flush"))
        self._records, self._offsets, self._refused = [], {}, []

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps_ms: Sequence[int] | None = None,
    ) -> None:
        self._call("produce", ("produce", "flush"))
        by_key = -1 if self._cluster.width(topic) else 0
        places = [by_key] * len(keys) if partitions is None else partitions
        extra = [()] * len(keys) if headers is None else headers
        times = [0] * len(keys) if timestamps_ms is None else timestamps_ms
        columns = zip(places, keys, values, extra, times, strict=True)
        self._records += [Written(topic, *each) for each in columns]

    def flush(self, timeout_s: float) -> None:
        del timeout_s
        self._call("flush", ("offsets",))
        for topic in {record.topic for record in self._records}:
            records = [record for record in self._records if record.topic == topic]
            reason = next(filter(None, map(self._cluster.refuses, records)), None)
            if reason is not None:
                self._refused += [RefusedRecord(topic, r.key, r.value, reason, is_certain=False) for r in records]
        if self._refused:
            self._may = ()
            raise TransactionAborted("flush: refused")

    def send_offsets(
        self, offsets: Mapping[Partition, tuple[int, str]], group: GroupMetadata, timeout_s: float
    ) -> None:
        del timeout_s
        self._call("offsets", ("commit",))
        assert offsets, "a transaction without offsets is not fenced"
        if group.generation not in {-1, self._cluster.generation}:
            self._may = ()
            raise TransactionAborted("ILLEGAL_GENERATION")
        self._offsets = dict(offsets)

    def commit_transaction(self, timeout_s: float) -> None:
        del timeout_s
        fault = self._call("commit", ("begin",))
        if fault != "unknown, lost":
            self._cluster.commit(self._records, self._offsets)
            self._cluster.deliver(self._records)
        if fault is not None:
            self._may = ()
            raise OutcomeUnknown("commit: planted")

    def refused(self) -> list[RefusedRecord]:
        return list(self._refused)

    def close(self) -> None:
        self._may = ()

    def doubt(self) -> str | None:
        return None


class InMemoryMember:
    """`runtime.member.Member`: rebalances are planted, and happen at the start of a poll or behind its records."""

    def __init__(self, cluster: Cluster, listener: Worker) -> None:
        self._cluster, self._listener = cluster, listener
        self.events: deque[tuple[Literal["assigned", "revoked", "lost"], list[Partition]]] = deque()
        self.happens_behind_records = False
        self.fetches_at: dict[Partition, int] = {}
        self.paused: set[Partition] = set()
        self.pauses: list[Partition] = []
        self.is_live = True
        self.is_closed = False
        self.trouble: PenstockError | None = None
        self.skips: dict[Partition, int] = {}
        self.stuck: set[Partition] = set()
        self.waits: list[float] = []
        self._told_end: set[Partition] = set()
        self.is_eager = cluster.is_eager
        self.member_id = "me"

    @property
    def is_at_ends(self) -> bool:
        return all(self.fetches_at[p] >= self._cluster.end(p) for p in self.fetches_at.keys() - self.paused)

    def subscribe(self, topics: Iterable[str]) -> None:
        self.is_live = True
        self.events.append(("assigned", sorted(p for p in self._cluster.inputs if p[0] in set(topics))))

    def withdraw(self) -> None:
        self.events.append(("revoked", sorted(self.fetches_at.keys() | self.paused)))
        self.is_live = False

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        self.waits.append(timeout_s)
        polled = Polled()
        if self.happens_behind_records:
            self._fetch(polled, max_records)
            self._rebalance()
        else:
            self._rebalance()
            self._fetch(polled, max_records)
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        return polled

    def _rebalance(self) -> None:
        while self.events:
            kind, partitions = self.events.popleft()
            if kind == "assigned":
                self.paused.update(partitions)
                self._listener.on_assigned(partitions)
                continue
            (self._listener.on_revoked if kind == "revoked" else self._listener.on_lost)(partitions)
            for partition in partitions:
                self.fetches_at.pop(partition, None)

    def _fetch(self, polled: Polled, max_records: int) -> None:
        for partition, start in list(self.fetches_at.items()):
            if partition in self.paused or partition in self.stuck:
                continue
            if not self._cluster.begins.get(partition, 0) <= start <= self._cluster.end(partition):
                polled.lost[partition] = start
                self.stuck.add(partition)
                continue
            rows = [row for row in self._cluster.inputs[partition] if row[0] >= start][:max_records]
            max_records -= len(rows)
            if rows:
                offsets, keys, values, times = (list(column) for column in zip(*rows, strict=True))
                headers = [self._cluster.headers.get((partition, offset), ()) for offset in offsets]
                polled.batches.append(
                    SourceBatch(*partition, offsets, keys, values, times, headers if any(headers) else None)
                )
                self.fetches_at[partition] = rows[-1][0] + 1
                self._told_end.discard(partition)
            if max_records and partition not in self._told_end:
                self.fetches_at[partition] = self._cluster.end(partition)
                self._told_end.add(partition)
                polled.ends[partition] = self._cluster.end(partition)

    def start(self, positions: Mapping[Partition, int]) -> None:
        for partition, offset in positions.items():
            self.fetches_at[partition] = offset + self.skips.pop(partition, 0)
            self._told_end.discard(partition)
            self.stuck.discard(partition)
        self.resume(positions)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self.paused.update(partitions)
        self.pauses += partitions

    def resume(self, partitions: Iterable[Partition]) -> None:
        self.paused.difference_update(partitions)

    def first_offset_from(self, partition: Partition, next_offset: int) -> int | None:
        return next((row[0] for row in self._cluster.inputs[partition] if row[0] >= next_offset), None)

    def committed(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, Committed]:
        del timeout_s
        return {p: self._cluster.offsets[p] for p in partitions if p in self._cluster.offsets}

    def end_offsets(self, partition: Partition) -> tuple[int, int]:
        return self._cluster.begins.get(partition, 0), self._cluster.end(partition)

    def group_metadata(self) -> GroupMetadata:
        generation = self._cluster.generation if self.is_live else -1
        return GroupMetadata(None, generation, self.member_id if self.is_live else "")

    def close(self) -> None:
        """As the client does: what is assigned is revoked on the way out, and what that raises is lost."""
        self.is_closed = True
        self._listener.on_revoked(sorted(self.fetches_at.keys() | self.paused))


class InMemoryChangelog:
    """`restore.ChangelogReader`: some records at a time, then control records up to the end, or a wall."""

    def __init__(self, records: Sequence[RawRecord], end: int | None = None, stable: int | None = None) -> None:
        self._records = list(records)
        self._end = (records[-1].offset or 0) + 1 if end is None and records else end or 0
        self.stable = self._end if stable is None else stable
        self._position: int | None = None
        self._start = 0
        self.is_closed = False

    def watermarks(self) -> Watermarks:
        return Watermarks(0, self._end)

    def start(self, offset: int) -> None:
        self._start, self._position = offset, None

    def poll(self) -> Columns:
        at = self._start if self._position is None else self._position
        found = [r for r in self._records if at <= (r.offset or 0) < self.stable][:2]
        self._position = (found[-1].offset or 0) + 1 if found else self.stable
        return Columns([r.key for r in found], [r.value for r in found], [r.offset or 0 for r in found])

    def position(self) -> int | None:
        return self._position

    def close(self) -> None:
        self.is_closed = True
