"""From a topology to a worker on a cluster: topics, codecs, identity, consumer and transactions, put together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from penstock.clock import Clock, SystemClock
from penstock.deadletter.envelope import Author
from penstock.errors import ConfigurationError
from penstock.kafka.client import Connection, Option
from penstock.kafka.group_settings import DEFAULT_SESSION_TIMEOUT_MS, GroupProtocol, GroupSettings
from penstock.protocols import SchemaRegistry, TransactionalProducer
from penstock.runtime.assignment import Assignment, needs_copartitioning
from penstock.runtime.attempts import AttemptLedger
from penstock.runtime.changelog_reader import UncommittedTail
from penstock.runtime.checkpoints import ASK_BUDGET_S, Checkpoints, one_thread
from penstock.runtime.clients import Clients, CommittingMember, GroupQuestions, KafkaClients, TopicAdmin
from penstock.runtime.deploy import deploy
from penstock.runtime.global_tables import GlobalTables, TableContent
from penstock.runtime.guarantee import Guarantee, check_guarantee
from penstock.runtime.hang_timer import HangTimer
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.internal_topics import PipelineTopics
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.purge import INTERVAL_S, Purge
from penstock.runtime.release import release
from penstock.runtime.takeover import Takeover
from penstock.runtime.task_factory import TaskFactory
from penstock.runtime.twins import Twins
from penstock.runtime.watchdog import Watchdog
from penstock.runtime.worker import Worker
from penstock.topology.topology import Topology
from penstock.transactions.identity import IdentityLock
from penstock.transactions.session import TransactionSession

_HANDOVER_S = 3.0
_BROKERS_SESSION_TIMEOUT = "group.consumer.session.timeout.ms"


@dataclass(frozen=True, slots=True)
class WorkerSurroundings:
    """Where a worker runs.

    Attributes:
        connection: the cluster.
        registry: of schemas; None where no topic needs one.
        state_directory: holds the identity lock and the checkpoints; workers of one machine share it.
        prefix: precedes every name of ours; empty or ending in a dot.
        instance: names this place among those of the pipeline; stable over restarts.
        worker: which of the place's workers this one is; stable too.
        guarantee: see `guarantee.py`.
        auto_register: whether unknown schemas are registered.
        accept_state_loss: start though this code loses state of what is deployed; it is deleted.
        checkpoint_interval_s: state is written to disk this often.
        purge_interval_s: what was read is deleted from repartition topics this often.
        transaction_timeout_ms: after this the coordinator aborts on its own.
        transaction_budget_ms: after this we do; shorter.
        session_timeout_ms: a worker that is silent this long is taken for dead, and its tasks go to others; KIP-848 has
            the brokers' own instead.
        group_protocol: `classic`, or `consumer` for KIP-848.
        static_membership: whether a restart keeps its partitions, without anybody noticing.
        consumer_options: further librdkafka options for the group member.
        limits: of batches and transactions.
        clock: time.
        clients: makes every client, given the connection.
        background: makes the executor that writes checkpoints.
    """

    connection: Connection
    registry: SchemaRegistry | None
    state_directory: Path
    prefix: str = ""
    instance: str = "0"
    worker: int = 0
    guarantee: Guarantee = "exactly_once"
    auto_register: bool = True
    accept_state_loss: bool = False
    checkpoint_interval_s: float = 30.0
    purge_interval_s: float = INTERVAL_S
    transaction_timeout_ms: int = 60_000
    transaction_budget_ms: int = 45_000
    session_timeout_ms: int = DEFAULT_SESSION_TIMEOUT_MS
    group_protocol: GroupProtocol = "classic"
    static_membership: bool = False
    consumer_options: Mapping[str, Option] = field(default_factory=dict[str, Option])
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    clock: Clock = field(default_factory=SystemClock)
    clients: Callable[[Connection], Clients] = KafkaClients
    background: Callable[[], Executor] = one_thread

    @property
    def kafka(self) -> Clients:
        """Makes the worker's clients."""
        return self.clients(self.connection)

    def group(self, topology: Topology) -> str:
        """The consumer group."""
        return f"{self.prefix}{topology.name}"

    def writer(self, topology: Topology) -> str:
        """The worker's `transactional.id` and `client.id`."""
        return f"{self.group(topology)}.{self.instance}.{self.worker}"


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


def _group_settings(topology: Topology, around: WorkerSurroundings, writer: str, admin: TopicAdmin) -> GroupSettings:
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
    reads: Sequence[Partition],
    topics: PipelineTopics,
    around: WorkerSurroundings,
    writer: str,
    view: GroupQuestions,
    hooks: WorkerHooks,
) -> Takeover:
    kafka, client_id = around.kafka, f"{writer}.takeover"
    return Takeover(
        view,
        lambda name: kafka.producer(name, around.transaction_timeout_ms, max_batch_bytes=1_000_000),
        lambda place, extent: UncommittedTail(kafka.reader(client_id, "read_uncommitted"), place, extent),
        writer=writer,
        reads=reads,
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
        DuplicateIdentity: another process of this machine is this worker.
        OperatorMustDecide: the code would lose state of what is deployed, and that is not accepted.
        ConfigurationError: a topic, a serde or a setting does not fit.
        ServerUnreachable: Kafka does not answer.
    """
    check_intervals(around)
    check_guarantee(topology, around.guarantee)
    group, writer, kafka = around.group(topology), around.writer(topology), around.kafka
    with IdentityLock(around.state_directory / "identities", f"worker.{writer}"):
        topics, lineage = deploy(topology, around, hooks)
        settings = _group_settings(topology, around, writer, kafka.admin())

        members: list[CommittingMember] = []

        def join(listener: Worker) -> CommittingMember:
            members.append(kafka.member(group, writer, listener, settings))
            return members[0]

        def connect() -> TransactionalProducer:
            smallest = min(bounds.max_record_bytes for bounds in topics.bounds.values())
            if around.guarantee == "at_least_once":
                return kafka.acknowledged_producer(
                    writer, around.transaction_timeout_ms, max_batch_bytes=smallest, commit_offsets=members[0].commit
                )
            return kafka.producer(
                writer, around.transaction_timeout_ms, max_batch_bytes=smallest, records_have_timestamps=True
            )

        session = TransactionSession(
            connect, clock=around.clock, hooks=hooks, budget_s=around.transaction_budget_ms / 1000
        )
        checkpoints = Checkpoints(
            kafka.admin(ASK_BUDGET_S),
            around.background(),
            state_directory=around.state_directory,
            group=group,
            topology=topology.fingerprint,
            interval_s=around.checkpoint_interval_s,
            clock=around.clock,
            hooks=hooks,
            patience_s=_HANDOVER_S if settings.is_eager else 0.0,
        )
        tasks = Assignment(topology, topics.partitions, topics.name).tasks
        reads = [partition for sources in tasks.values() for partition in sources]
        view = kafka.group(group, f"{writer}.view")
        global_tables = _global_tables(topology, topics, around, writer)
        purge = Purge(
            kafka.record_deleter(f"{writer}.purge"),
            topics.repartitions.values(),
            around.clock,
            around.purge_interval_s,
        )
        attempts = AttemptLedger(
            around.state_directory / "attempts" / f"{writer}.json", HangTimer(around.limits.hung_after_s)
        )
        worker = Worker(
            Author(topology.name, release(), group, writer),
            consumer=join,
            twins=lambda consumer: Twins(
                writer,
                view.members,
                member_id=lambda: consumer.group_metadata().member_id,
                session_timeout_s=settings.session_timeout_ms / 1000,
                clock=around.clock,
            ),
            session=session,
            tasks=TaskFactory(
                topology, topics, around, writer, view, checkpoints, lineage, purge=purge, global_tables=global_tables
            ),
            takeover=_takeover(reads, topics, around, writer, view, hooks),
            breaker=topology.breaker,
            attempts=attempts,
            topics=sorted({name for group in topology.groups.values() for name in topics.inputs(group)}),
            limits=around.limits,
            clock=around.clock,
            hooks=hooks,
        )
        watchdog = Watchdog(
            lambda: worker.at_work,
            slow_s=around.limits.slow_batch_s,
            max_poll_interval_s=_max_poll_interval_s(around, settings),
            clock=around.clock,
        )
        try:
            hooks.on_join(
                group,
                {name: topics.partitions[name] for each in topology.groups.values() for name in topics.inputs(each)},
                _max_poll_interval_s(around, settings),
            )
            with attempts, watchdog:
                yield worker
        finally:
            worker.leave()
            view.close()
            checkpoints.close()
            if global_tables is not None:
                global_tables.close()


def _global_tables(
    topology: Topology, topics: PipelineTopics, around: WorkerSurroundings, writer: str
) -> GlobalTables | None:
    if not topology.global_tables:
        return None
    sources = {node.name: node.source.topic for node in topology.global_tables if node.source is not None}
    contents = {
        topic.name: TableContent(
            name, topic.bind(around.registry, auto_register=around.auto_register), around.group(topology)
        )
        for name, topic in sources.items()
    }
    reader = around.kafka.reader(f"{writer}.global")
    return GlobalTables(reader, contents, topics.partitions, around.clock)
