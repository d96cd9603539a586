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
from penstock.kafka.consumer import Committed, GroupConsumer
from penstock.kafka.group_settings import DEFAULT_SESSION_TIMEOUT_MS, GroupProtocol, GroupSettings
from penstock.kafka.group_view import Answer, Asked, GroupView
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.operators.operator import OpenTopic
from penstock.protocols import SchemaRegistry
from penstock.runtime.assignment import Assignment, needs_copartitioning
from penstock.runtime.changelog_reader import PartitionReader, UncommittedTail
from penstock.runtime.checkpoints import Checkpoints
from penstock.runtime.deploy import deploy
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.internal_topics import PipelineTopics, renew_bounds
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.lineage import Lineage
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.program import Program
from penstock.runtime.restore import Restore, Restored
from penstock.runtime.savepoint import SavepointLogic
from penstock.runtime.staging import LOGGER
from penstock.runtime.takeover import Takeover
from penstock.runtime.task import Task, TaskId
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.runtime.twins import Twins
from penstock.runtime.watchdog import Watchdog
from penstock.runtime.worker import Worker
from penstock.state.task_state import TaskState
from penstock.topology.topology import Topology
from penstock.transactions.identity import IdentityLock
from penstock.transactions.session import TransactionSession

_HANDOVER_S = 3.0
_BROKERS_SESSION_TIMEOUT = "group.consumer.session.timeout.ms"
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
        accept_state_loss: start though this code loses state of what is deployed; it is deleted.
        checkpoint_interval_s: state is written to disk this often.
        transaction_timeout_ms: after this the coordinator aborts on its own.
        transaction_budget_ms: after this we do; shorter.
        session_timeout_ms: a worker that is silent this long is taken for dead, and its tasks go to others; KIP-848 has
            the brokers' own instead.
        group_protocol: `classic`, or `consumer` for KIP-848.
        static_membership: whether a restart keeps its partitions, without anybody noticing.
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
    accept_state_loss: bool = False
    checkpoint_interval_s: float = 30.0
    transaction_timeout_ms: int = 60_000
    transaction_budget_ms: int = 45_000
    session_timeout_ms: int = DEFAULT_SESSION_TIMEOUT_MS
    group_protocol: GroupProtocol = "classic"
    static_membership: bool = False
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
        view: of the group.
        checkpoints: of tasks with state; None = neither read nor written.
        lineage: what was deployed before; None = no other topology has ever run here.
    """

    def __init__(
        self,
        topology: Topology,
        topics: PipelineTopics,
        around: WorkerSurroundings,
        writer: str,
        view: GroupView,
        checkpoints: Checkpoints | None = None,
        lineage: Lineage | None = None,
    ) -> None:
        self._view = view
        self._assignment = Assignment(topology, topics.partitions)
        self._topology = topology
        self._topics = topics
        self._around = around
        self._writer = writer
        self._checkpoints = checkpoints
        self._lineage = lineage
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
        return self._assignment.complete(assigned)

    def check(self, assigned: set[Partition]) -> None:
        """Whether an assignment that is final tears no task.

        Raises:
            ConfigurationError: it tears some; they could not run anywhere.
        """
        self._assignment.check(assigned)

    def stable_offsets(self, partitions: tuple[Partition, ...]) -> Answer[Mapping[Partition, Committed]]:
        """Ask for the group's stable offsets, without waiting."""
        return self._view.stable_offsets(partitions)

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...], consumer: Member) -> Restore:
        """Begin to bring a task back from the log.

        Raises:
            CheckpointHeld: not yet.
        """
        changelog = self.changelog_of(task_id)
        reader: PartitionReader | None = None
        stored: TaskCheckpoint | None = None
        if changelog is not None:
            place = (changelog, task_id.partition)
            reader = PartitionReader(
                self._around.connection, place, f"{self._writer}.restore", lambda: self._view.extent(place)
            )
            if self._checkpoints is not None:
                stored = self._checkpoints.open(task_id, changelog, sources)
        offsets = Asked(lambda: self.stable_offsets(sources))
        return Restore(
            task_id,
            sources,
            committed=lambda _: offsets.get(),
            first_offset=lambda partition: consumer.end_offsets(partition)[
                0 if self._starts[partition[0]] == "earliest" else 1
            ],
            changelog=reader,
            stored=stored,
            clock=self._around.clock,
            lineage=self._lineage,
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


def _group_settings(topology: Topology, around: WorkerSurroundings, writer: str, admin: Admin) -> GroupSettings:
    session_timeout_ms = int(around.consumer_options.get("session.timeout.ms", around.session_timeout_ms))
    if around.group_protocol == "consumer":
        broker = admin.cluster().brokers[0].id
        session_timeout_ms = int(admin.broker_config(broker).get(_BROKERS_SESSION_TIMEOUT, 45_000))
    return GroupSettings(
        protocol=around.group_protocol,
        session_timeout_ms=session_timeout_ms,
        instance_id=writer if around.static_membership else None,
        is_copartitioned=needs_copartitioning(topology),
        options=around.consumer_options,
    )


def _takeover(
    topics: PipelineTopics, around: WorkerSurroundings, writer: str, view: GroupView, hooks: WorkerHooks
) -> Takeover:
    connection, client_id = around.connection, f"{writer}.takeover"
    return Takeover(
        view,
        lambda name: KafkaTransactionalProducer(
            connection, name, around.transaction_timeout_ms, max_batch_bytes=1_000_000
        ),
        lambda place, extent: UncommittedTail(connection, place, extent, client_id),
        writer=writer,
        writes=topics.written,
        changelog_of=lambda task_id: topics.changelogs.get(task_id.group),
        clock=around.clock,
        hooks=hooks,
    )


def _max_poll_interval_s(around: WorkerSurroundings, settings: GroupSettings) -> float:
    options = {**settings.as_options(), **around.connection.client, **around.connection.consumer}
    return int(options["max.poll.interval.ms"]) / 1000


@contextmanager
def opened(topology: Topology, around: WorkerSurroundings, hooks: WorkerHooks) -> Generator[Worker]:
    """A worker that has joined its group; it is closed, but not stopped gracefully, at the end of the block.

    Raises:
        DuplicateIdentity: another process of this machine is this instance.
        OperatorMustDecide: the code would lose state of what is deployed, and that is not accepted.
        ConfigurationError: a topic, a serde or a setting does not fit.
        ServerUnreachable: Kafka does not answer.
    """
    check_intervals(around)
    group = f"{around.prefix}{topology.name}"
    writer = f"{group}.{around.instance}"
    with IdentityLock(around.state_directory / "identities", f"worker.{writer}"):
        topics, lineage = deploy(topology, around, hooks)
        settings = _group_settings(topology, around, writer, Admin(around.connection))

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
            patience_s=_HANDOVER_S if settings.is_eager else 0.0,
        )
        view = GroupView(around.connection, group, f"{writer}.view")
        worker = Worker(
            topology.name,
            consumer=lambda listener: GroupConsumer(around.connection, group, writer, listener, settings),
            twins=lambda consumer: Twins(
                writer,
                view.members,
                member_id=lambda: consumer.group_metadata().member_id,
                session_timeout_s=settings.session_timeout_ms / 1000,
                clock=around.clock,
            ),
            session=session,
            tasks=TaskFactory(topology, topics, around, writer, view, checkpoints, lineage),
            takeover=_takeover(topics, around, writer, view, hooks),
            topics=sorted({t.name for g in topology.groups.values() for t in g.source_topics}),
            limits=around.limits,
            clock=around.clock,
            hooks=hooks,
            version=version("penstock"),
        )
        watchdog = Watchdog(
            lambda: worker.at_work,
            slow_s=around.limits.slow_batch_s,
            max_poll_interval_s=_max_poll_interval_s(around, settings),
            clock=around.clock,
        )
        try:
            with watchdog:
                yield worker
        finally:
            worker.leave()
            view.close()
            checkpoints.close()
