"""From a topology to a worker on a cluster: topics, codecs, identity, consumer and transactions, put together."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from penstock.clock import Clock, SystemClock
from penstock.errors import ConfigurationError, ServerUnreachable
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection, Option
from penstock.kafka.consumer import GroupConsumer
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.operators.operator import OpenTopic
from penstock.protocols import SchemaRegistry
from penstock.runtime.changelog_reader import PartitionReader
from penstock.runtime.checkpoints import Checkpoints
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.internal_topics import PipelineTopics, ensure_topics, renew_bounds
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.program import Program
from penstock.runtime.restore import Restore, Restored
from penstock.runtime.savepoint import SavepointLogic
from penstock.runtime.staging import LOGGER
from penstock.runtime.task import Task, TaskId
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.runtime.worker import Worker
from penstock.state.task_state import TaskState
from penstock.topology.topology import Topology
from penstock.transactions.identity import IdentityLock
from penstock.transactions.session import TransactionSession

_BOUNDS_BUDGET_S = 5.0


@dataclass(frozen=True, slots=True)
class WorkerSurroundings:
    """Where a worker runs.

    Attributes:
        connection: the cluster.
        registry: of schemas; None where no topic needs one.
        state_directory: holds the identity lock and the checkpoints; workers of one machine share it.
        prefix: precedes every name of ours; empty or ending in a dot.
        instance: names this worker among those of the pipeline; stable over restarts.
        auto_register: whether unknown schemas are registered.
        checkpoint_interval_s: state is written to disk this often.
        transaction_timeout_ms: after this the coordinator aborts on its own.
        transaction_budget_ms: after this we do; shorter.
        consumer_options: further librdkafka options for the group member.
        limits: of batches and transactions.
        clock: time.
    """

    connection: Connection
    registry: SchemaRegistry | None
    state_directory: Path
    prefix: str = ""
    instance: str = "0"
    auto_register: bool = True
    checkpoint_interval_s: float = 30.0
    transaction_timeout_ms: int = 60_000
    transaction_budget_ms: int = 45_000
    consumer_options: Mapping[str, Option] = field(default_factory=dict[str, Option])
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    clock: Clock = field(default_factory=SystemClock)


class TaskFactory:
    """`worker.Tasks` for one topology on one cluster.

    Args:
        topology: what to run.
        topics: as they were found.
        around: see there.
        writer: our `transactional.id`.
        checkpoints: of tasks with state; None = neither read nor written.
    """

    def __init__(
        self,
        topology: Topology,
        topics: PipelineTopics,
        around: WorkerSurroundings,
        writer: str,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._topology = topology
        self._topics = topics
        self._around = around
        self._writer = writer
        self._checkpoints = checkpoints
        self._open = {
            name: OpenTopic(
                topic.bind(around.registry, auto_register=around.auto_register),
                topics.partitions[name],
                topics.bounds[name],
            )
            for name, topic in topology.topics.items()
        }
        self._starts = {
            node.source.topic.name: node.source.start
            for group in topology.groups.values()
            for node in group.sources
            if node.source is not None
        }

    def complete(self, assigned: set[Partition]) -> dict[TaskId, tuple[Partition, ...]]:
        """The tasks all of whose partitions are there."""
        found: dict[TaskId, tuple[Partition, ...]] = {}
        for group in self._topology.groups.values():
            names = [topic.name for topic in group.source_topics]
            for partition in range(max(self._topics.partitions[name] for name in names)):
                sources = tuple((name, partition) for name in names if partition < self._topics.partitions[name])
                if assigned.issuperset(sources):
                    found[TaskId(group.name, partition)] = sources
        return found

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...], consumer: Member) -> Restore:
        """Begin to bring a task back from the log."""
        changelog = self.changelog_of(task_id)
        reader: PartitionReader | None = None
        stored: TaskCheckpoint | None = None
        if changelog is not None:
            reader = PartitionReader(self._around.connection, changelog, task_id.partition, f"{self._writer}.restore")
            if self._checkpoints is not None:
                stored = self._checkpoints.open(task_id, changelog, sources)
        return Restore(
            task_id,
            sources,
            committed=lambda partitions: consumer.committed(partitions, timeout_s=2.0),
            first_offset=lambda partition: consumer.end_offsets(partition)[
                0 if self._starts[partition[0]] == "earliest" else 1
            ],
            changelog=reader,
            stored=stored,
            clock=self._around.clock,
        )

    def start(self, task_id: TaskId, sources: tuple[Partition, ...], restored: Restored) -> Task:
        """The task, its processors open."""
        state = restored.state if restored.state is not None else TaskState()
        group = self._topology.groups[task_id.group]
        program = Program(group, self._open, state, self._around.clock, task_id.partition)
        program.open()
        tables = {node.source.topic.name for node in group.sources if node.source is not None and node.operation.stores}
        return Task(
            task_id,
            sources,
            SavepointLogic(program, state),
            restored.state,
            restored.progress,
            writer=self._writer,
            topology=self._topology.fingerprint,
            checkpoint=restored.checkpoint,
            tables=[partition for partition in sources if partition[0] in tables],
        )

    def changelog_of(self, task_id: TaskId) -> str | None:
        """Its changelog topic; None for a group without state."""
        return self._topics.changelogs.get(task_id.group)

    def dead_letter_topic(self, source: str) -> tuple[str, int]:
        """Where a source's dead letters go, and the largest record there."""
        topic = self._topics.dead_letters[source]
        return topic, self._topics.bounds[topic].max_record_bytes

    def renew_bounds(self) -> None:
        """Ask anew what the topics take; if Kafka does not say, what was known before holds."""
        try:
            renew_bounds(Admin(self._around.connection, budget_s=_BOUNDS_BUDGET_S), self._topics.bounds)
        except ServerUnreachable as exc:
            LOGGER.warning("what the topics take is not answered: %s", exc)


def check_intervals(around: WorkerSurroundings) -> None:
    """Whether transactions can end in time.

    Raises:
        ConfigurationError: the commit interval, the budget and the transaction's time-out are not ascending.
    """
    interval_ms, budget_ms = around.limits.commit_interval_s * 1000, around.transaction_budget_ms
    if not interval_ms < budget_ms < around.transaction_timeout_ms:
        raise ConfigurationError(
            f"the commit interval ({interval_ms:.0f} ms) has to be below the transaction budget ({budget_ms} ms), and "
            f"that below the transaction's time-out ({around.transaction_timeout_ms} ms): every transaction would be "
            "discarded for its age, for ever"
        )


@contextmanager
def opened(topology: Topology, around: WorkerSurroundings, hooks: WorkerHooks) -> Generator[Worker]:
    """A worker that has joined its group; it is closed, but not stopped gracefully, at the end of the block.

    Raises:
        DuplicateIdentity: another process of this machine is this instance.
        ConfigurationError: a topic, a serde or a setting does not fit.
        ServerUnreachable: Kafka does not answer.
    """
    check_intervals(around)
    group = f"{around.prefix}{topology.name}"
    writer = f"{group}.{around.instance}"
    with IdentityLock(around.state_directory / "identities", f"worker.{writer}"):
        topics = ensure_topics(Admin(around.connection), topology, around.prefix)

        def connect() -> KafkaTransactionalProducer:
            smallest = min(bounds.max_record_bytes for bounds in topics.bounds.values())
            return KafkaTransactionalProducer(
                around.connection,
                writer,
                around.transaction_timeout_ms,
                max_batch_bytes=smallest,
                records_have_timestamps=True,
            )

        session = TransactionSession(
            connect, clock=around.clock, hooks=hooks, budget_s=around.transaction_budget_ms / 1000
        )
        checkpoints = Checkpoints(
            around.connection,
            state_directory=around.state_directory,
            group=group,
            topology=topology.fingerprint,
            interval_s=around.checkpoint_interval_s,
            clock=around.clock,
            hooks=hooks,
        )
        worker = Worker(
            topology.name,
            consumer=lambda listener: GroupConsumer(
                around.connection, group, writer, listener, around.consumer_options
            ),
            session=session,
            tasks=TaskFactory(topology, topics, around, writer, checkpoints),
            topics=sorted({t.name for g in topology.groups.values() for t in g.source_topics}),
            limits=around.limits,
            clock=around.clock,
            hooks=hooks,
            version=version("penstock"),
        )
        try:
            yield worker
        finally:
            worker.leave()
            checkpoints.close()
