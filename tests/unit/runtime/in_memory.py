"""A small cluster in memory behind the seams of the runtime: a member of a group, a transactional producer, changelogs.

It is as strict as librdkafka where the runtime depends on it: after any error but `Retriable` a handle may only be
closed, a handle that is not the newest is fenced, a membership that is not the live one is refused, and a position is
known only after the first fetch behind a seek. It is as lenient as the broker, too: an empty member is accepted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.errors import Fenced, KafkaUnavailable, OutcomeUnknown, PenstockError, TransactionAborted
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed
from penstock.kafka.group_members import GroupMember
from penstock.kafka.group_view import GroupView
from penstock.kafka.partitioner import partition_for
from penstock.kafka.polled import Polled
from penstock.kafka.reader import Columns, RawRecord, Watermarks
from penstock.operators.topic_bounds import TopicBounds
from penstock.protocols import GroupMetadata, RefusedRecord
from penstock.record import Headers, Record
from penstock.runtime.global_tables import GlobalTables
from penstock.runtime.hook_chain import HookChain
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.internal_topics import PipelineTopics
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.opening import WorkerSurroundings
from penstock.runtime.restore import Restore
from penstock.runtime.task import TaskId
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.runtime.task_factory import TaskFactory
from penstock.runtime.twins import Twins
from penstock.runtime.worker import Worker
from penstock.state.checkpoint_rules import Expected
from penstock.state.offset_metadata import OffsetMetadata
from penstock.state.task_directory import TaskDirectory
from penstock.transactions.session import TransactionSession
from tests.unit.publishing.in_memory import ManualClock, Seen

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


@dataclass
class Disk:
    """A state directory, and what the brokers would say of the topics when a checkpoint is looked at."""

    folder: Path
    topic_ids: dict[str, str] = field(default_factory=lambda: {"in": "A", "in.changelog": "B"})
    topology: str = "t"
    interval_s: float = 0.0
    clock: ManualClock = field(default_factory=ManualClock)
    executor: Executor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def open(self, task_id: TaskId, changelog_end: Callable[[], int], hooks: WorkerHooks) -> TaskCheckpoint:
        directory = TaskDirectory(self.folder, f"p.{task_id.group}.{task_id.partition}")
        directory.__enter__()
        return TaskCheckpoint(
            str(task_id),
            directory,
            self.executor,
            expected=lambda: Expected(self.topology, self.topic_ids, 60_000, self.clock.now_ms()),
            changelog_end=changelog_end,
            interval_s=self.interval_s,
            clock=self.clock,
            hooks=hooks,
        )

    def file(self, partition: int = 0) -> Path:
        return self.folder / "tasks" / f"p.in.{partition}" / "checkpoint"


class InMemoryTasks(TaskFactory):
    """The real factory, but for the changelog reader and what a checkpoint asks the brokers."""

    cluster: Cluster
    disk: Disk | None = None
    hooks: WorkerHooks
    bounds: dict[str, TopicBounds]

    def stable_offsets(self, partitions: tuple[Partition, ...]) -> Told[Mapping[Partition, Committed]]:
        return Told({p: self.cluster.offsets[p] for p in partitions if p in self.cluster.offsets})

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...], consumer: Member) -> Restore:
        changelog = self.changelog_of(task_id)
        stored: TaskCheckpoint | None = None
        if changelog is not None and self.disk is not None:
            stored = self.disk.open(
                task_id, lambda: len(self.cluster.changelog(changelog, task_id.partition)), self.hooks
            )
        return Restore(
            task_id,
            sources,
            committed=lambda partitions: consumer.committed(partitions, timeout_s=1.0),
            first_offset=lambda partition: consumer.end_offsets(partition)[0],
            changelog=None
            if changelog is None
            else InMemoryChangelog(self.cluster.changelog(changelog, task_id.partition)),
            stored=stored,
            clock=ManualClock(),
        )

    def renew_bounds(self) -> None:
        for topic, now in self.cluster.bounds.items():
            self.bounds[topic].max_record_bytes = now.max_record_bytes


@dataclass
class Running:
    """A worker of a pipeline on a cluster, and what can be seen of it."""

    worker: Worker
    member: InMemoryMember
    hooks: Seen
    clock: ManualClock

    def until_idle(self) -> None:
        """Step until everything that is there is committed."""
        for _ in range(200):
            self.worker.step()
            self.clock.now_s += 1
            if self.worker.is_idle and self.worker.tasks and not self.member.events and self.member.is_at_ends:
                return
        raise AssertionError("the worker does not come to rest")


def running(
    cluster: Cluster,
    pipeline: Pipeline,
    limits: WorkerLimits | None = None,
    disk: Disk | None = None,
    global_tables: GlobalTables | None = None,
    told: Callable[[ManualClock], WorkerHooks] | None = None,
) -> Running:
    """Start a worker; every topic is as wide as its inputs say. Checkpoints are written where there is a disk.

    Further hooks are made by `told`, given the worker's clock.
    """
    topology = pipeline.topology()
    partitions: dict[str, int] = dict.fromkeys(topology.topics, 1)
    for topic, _ in cluster.inputs:
        partitions[topic] = cluster.width(topic)
    changelogs = {group.name: f"{group.name}.changelog" for group in topology.groups.values() if group.has_changelog}
    dead = {topic: f"dlq.{topic}" for topic in partitions}
    limits = limits or WorkerLimits()
    clock, hooks = ManualClock(), Seen()
    all_hooks = hooks if told is None else HookChain(hooks, told(clock))
    around = WorkerSurroundings(Connection("nowhere:1"), None, Path("unused"), limits=limits, clock=clock)
    bounds = {topic: TopicBounds() for topic in [*partitions, *dead.values()]}
    view = GroupView(around.connection, "p", "nobody")
    topics = PipelineTopics(partitions, bounds, changelogs, dead)
    tasks = InMemoryTasks(topology, topics, around, "p.0", view, global_tables=global_tables)
    tasks.cluster, tasks.disk, tasks.hooks, tasks.bounds = cluster, disk, all_hooks, bounds
    members: list[InMemoryMember] = []

    def member(worker: Worker) -> InMemoryMember:
        members.append(InMemoryMember(cluster, worker))
        return members[0]

    worker = Worker(
        "p",
        consumer=member,
        session=TransactionSession(lambda: InMemoryProducer(cluster), clock=clock, hooks=all_hooks),
        tasks=tasks,
        topics=sorted({topic for topic, _ in cluster.inputs}),
        limits=limits,
        clock=clock,
        hooks=all_hooks,
        version="test",
        breaker=topology.breaker,
        twins=lambda consumer: Twins(
            "p.0",
            lambda: Told(tuple(cluster.group)),
            member_id=lambda: consumer.group_metadata().member_id,
            session_timeout_s=10,
            clock=clock,
        ),
    )
    return Running(worker, members[0], hooks, clock)


def raw(offset: int, key: bytes | None, value: bytes | None) -> RawRecord:
    return Record(key=key, value=value, headers=(), timestamp_ms=0, topic="changelog", partition=0, offset=offset)


def metadata(sequence: int, writer: str = "p.0") -> str:
    return str(OffsetMetadata(sequence=sequence, writer=writer, owner_epoch=1))
