"""A worker on a small cluster in memory: the real one, but for its clients, its changelogs and its clock.

What the cluster holds is in `in_memory_cluster.py`; its clients (`in_memory_clients.py`) are as strict as librdkafka
where the runtime depends on it. The whole cluster, with transactions in flight and several workers, is
`penstock.testing.cluster`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from penstock.deadletter.envelope import Author
from penstock.dsl.pipeline import Pipeline
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed
from penstock.kafka.group_view import GroupView
from penstock.operators.topic_bounds import TopicBounds
from penstock.protocols import SchemaRegistry
from penstock.runtime.attempts import AttemptLedger
from penstock.runtime.global_tables import GlobalTables
from penstock.runtime.hook_chain import HookChain
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.internal_topics import PipelineTopics
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.opening import WorkerSurroundings
from penstock.runtime.restore import Restore
from penstock.runtime.task import TaskId
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.runtime.task_factory import TaskFactory
from penstock.runtime.twins import Twins
from penstock.runtime.worker import Worker
from penstock.state.checkpoint_rules import Expected
from penstock.state.task_directory import TaskDirectory
from penstock.transactions.session import TransactionSession
from tests.unit.publishing.in_memory import ManualClock, Seen
from tests.unit.runtime.in_memory_clients import InMemoryChangelog, InMemoryMember, InMemoryProducer
from tests.unit.runtime.in_memory_cluster import Cluster, Fault, Row, Told, Written, metadata, raw

__all__ = [
    "Cluster",
    "Disk",
    "Fault",
    "InMemoryChangelog",
    "InMemoryMember",
    "InMemoryProducer",
    "InMemoryTasks",
    "Row",
    "Running",
    "Told",
    "Written",
    "metadata",
    "raw",
    "running",
]


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

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...]) -> Restore:
        changelog = self.changelog_of(task_id)
        stored: TaskCheckpoint | None = None
        if changelog is not None and self.disk is not None:
            stored = self.disk.open(
                task_id, lambda: len(self.cluster.changelog(changelog, task_id.partition)), self.hooks
            )
        return Restore(
            task_id,
            sources,
            committed=lambda partitions: self.stable_offsets(partitions).get(),
            first_offsets=lambda: {source: self.cluster.begins.get(source, 0) for source in sources},
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
    registry: Callable[[], SchemaRegistry] | None = None,
    attempts: AttemptLedger | None = None,
) -> Running:
    """Start a worker; every topic is as wide as its inputs say. Checkpoints are written where there is a disk.

    Further hooks are made by `told`, given the worker's clock; behind that the registry of schemas, and the ledger of
    attempts, if there are such.
    """
    topology = pipeline.topology()
    partitions: dict[str, int] = dict.fromkeys(topology.topics, 1)
    for topic, _ in cluster.inputs:
        partitions[topic] = cluster.width(topic)
    changelogs = {group.name: f"{group.name}.changelog" for group in topology.groups.values() if group.has_changelog}
    dead = {topic: f"dlq.{topic}" for topic in partitions}
    partitions |= {name: cluster.dead_letter_width or partitions[topic] for topic, name in dead.items()}
    limits = limits or WorkerLimits()
    clock, hooks = ManualClock(), Seen()
    all_hooks = hooks if told is None else HookChain(hooks, told(clock))
    schemas = None if registry is None else registry()
    around = WorkerSurroundings(Connection("nowhere:1"), schemas, Path("unused"), limits=limits, clock=clock)
    bounds = {topic: TopicBounds() for topic in partitions}
    view = GroupView(around.connection, "p", "nobody")
    topics = PipelineTopics(partitions, bounds, changelogs, dead)
    tasks = InMemoryTasks(topology, topics, around, "p.0", view, global_tables=global_tables)
    tasks.cluster, tasks.disk, tasks.hooks, tasks.bounds = cluster, disk, all_hooks, bounds
    members: list[InMemoryMember] = []

    def member(worker: Worker) -> InMemoryMember:
        members.append(InMemoryMember(cluster, worker))
        return members[0]

    worker = Worker(
        Author("p", "test", "p", "p.0"),
        consumer=member,
        session=TransactionSession(lambda: InMemoryProducer(cluster), clock=clock, hooks=all_hooks),
        tasks=tasks,
        topics=sorted({topic for topic, _ in cluster.inputs}),
        limits=limits,
        clock=clock,
        hooks=all_hooks,
        breaker=topology.breaker,
        attempts=attempts,
        twins=lambda consumer: Twins(
            "p.0",
            lambda: Told(tuple(cluster.group)),
            member_id=lambda: consumer.group_metadata().member_id,
            session_timeout_s=10,
            clock=clock,
        ),
    )
    return Running(worker, members[0], hooks, clock)
