"""From a configuration to a producer at work: topics, codecs, identity, transactions, put together."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from penstock.clock import Clock, SystemClock
from penstock.deadletter.topic import dead_letter_topic
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.partitioner import partition_for
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.protocols import SchemaRegistry, TransactionHooks
from penstock.publishing.batch import Stager
from penstock.publishing.cursor import cursor_topic, read_cursor
from penstock.publishing.feed import PublishingLimits
from penstock.publishing.run import Destination, ProducerRun
from penstock.publishing.spec import ProducerSpec
from penstock.publishing.topics import ensure_topics
from penstock.transactions.identity import IdentityLock
from penstock.transactions.session import TransactionSession

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a producer runs.

    Attributes:
        connection: the cluster.
        registry: of schemas; None where no topic needs one.
        project: names the cursor topic, and is part of the `transactional.id`: equal names in two projects are two.
        prefix: precedes every name of ours, the project's choice; empty or ending in a dot.
        state_directory: holds the identity locks.
        auto_register: whether unknown schemas are registered (development) or refused (production).
        transaction_timeout_ms: after this the coordinator aborts on its own.
        transaction_budget_ms: after this we do; shorter.
        limits: of transactions.
        clock: time.
    """

    connection: Connection
    registry: SchemaRegistry | None
    project: str
    state_directory: Path
    prefix: str = ""
    auto_register: bool = True
    transaction_timeout_ms: int = 60_000
    transaction_budget_ms: int = 45_000
    limits: PublishingLimits = field(default_factory=PublishingLimits)
    clock: Clock = field(default_factory=SystemClock)


@contextmanager
def opened(spec: ProducerSpec[K, V], around: Surroundings, hooks: TransactionHooks) -> Generator[ProducerRun[K, V]]:
    """A producer ready to `run`, its name locked on this machine and its topics there.

    Raises:
        DuplicateIdentity: another process of this machine runs it.
        ConfigurationError: a topic or a serde does not fit.
        ServerUnreachable: Kafka does not answer.
    """
    identity = f"{around.prefix}{around.project}.{spec.name}"
    with IdentityLock(around.state_directory / "identities", f"producer.{identity}"):
        cursors = cursor_topic(around.project, around.prefix)
        dead = dead_letter_topic(spec.name, partitions=1, prefix=around.prefix)
        admin = Admin(around.connection)
        found = ensure_topics(admin, spec, cursors, dead)

        def connect() -> KafkaTransactionalProducer:
            return KafkaTransactionalProducer(
                around.connection,
                identity,
                around.transaction_timeout_ms,
                max_batch_bytes=min(found.max_record_bytes, found.max_dead_letter_bytes),
            )

        session = TransactionSession(
            connect, clock=around.clock, hooks=hooks, budget_s=around.transaction_budget_ms / 1000
        )
        bound: Any = spec.topic.bind(around.registry, auto_register=around.auto_register)
        try:
            yield ProducerRun(
                spec,
                stager=Stager(spec, bound, found.partitions, found.max_record_bytes),
                session=session,
                read_cursor=lambda: read_cursor(around.connection, cursors, spec.name),
                destination=Destination(
                    topic=spec.topic.name,
                    cursor_topic=cursors.name,
                    cursor_partition=partition_for(spec.name.encode(), cursors.partitions),
                    dead_topic=dead.name,
                    max_dead_bytes=found.max_dead_letter_bytes,
                ),
                limits=around.limits,
                clock=around.clock,
                hooks=hooks,
                version=version("penstock"),
            )
        finally:
            session.close()
