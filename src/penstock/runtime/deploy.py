"""Taking over a pipeline with this code: compare, make the topics, record. In this order, before any task runs.

1. what is deployed is compared with the code; a start that is refused has created nothing
2. the topics are made where they are missing, and looked at
3. the code is recorded as what is deployed, compared once more with the very record before it
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.kafka.reader import Isolation, RawRecord
from penstock.protocols import TransactionHooks
from penstock.runtime.clients import Clients, TopicAdmin
from penstock.runtime.deployment_log import DeploymentLog, History, check, deployment_topic, history_of
from penstock.runtime.internal_topics import PipelineTopics, ensure_topics
from penstock.runtime.lineage import Lineage
from penstock.runtime.release import release
from penstock.topology.deployment import Deployment, deployment_of
from penstock.topology.topology import Topology
from penstock.transactions.session import TransactionSession

if TYPE_CHECKING:
    from penstock.runtime.opening import WorkerSurroundings

_RECORD_BYTES = 1_000_000


def deployment_on(admin: TopicAdmin, topology: Topology) -> Deployment:
    """What the code says, on the topics of this cluster."""
    return deployment_of(topology, {name: topic.partitions for name, topic in admin.topics().items()})


def deployed_history(kafka: Clients, admin: TopicAdmin, pipeline: str, prefix: str) -> History:
    """What was deployed so far, as far as it is decided; nothing is created.

    Raises:
        OperatorMustDecide: a newer release has written it.
        ServerUnreachable: Kafka does not answer.
    """
    topic = deployment_topic(pipeline, prefix).name
    if topic not in admin.topics():
        return History({})
    return history_of(topic, _read(kafka, topic, "read_committed"))


def deploy(topology: Topology, around: WorkerSurroundings, hooks: TransactionHooks) -> tuple[PipelineTopics, Lineage]:
    """Make this code what is deployed.

    Returns:
        The topics, and what was deployed before.

    Raises:
        OperatorMustDecide: it would lose state, and that is not accepted.
        ConfigurationError: a topic does not fit.
        ServerUnreachable: Kafka does not answer.
    """
    kafka, accepts = around.kafka, around.accept_state_loss
    admin = kafka.admin()
    code = deployment_on(admin, topology)
    before = deployed_history(kafka, admin, topology.name, around.prefix)
    check(before, code, accept_state_loss=accepts)
    topics = ensure_topics(admin, topology, around.prefix)
    settings = deployment_topic(topology.name, around.prefix)
    admin.create([settings])
    group = f"{around.prefix}{topology.name}"

    def session() -> TransactionSession:
        return TransactionSession(
            lambda: kafka.producer(
                f"{group}:topology",  # no worker can have this id: a colon is refused in theirs
                around.transaction_timeout_ms,
                max_batch_bytes=_RECORD_BYTES,
            ),
            clock=around.clock,
            hooks=TransactionHooks(),  # the worker's own hooks count the worker's own transactions
            budget_s=around.transaction_budget_ms / 1000,
        )

    log = DeploymentLog(
        settings.name,
        read=lambda end: _read(kafka, settings.name, end),
        session=session,
        clock=around.clock,
        writer=around.writer(topology),
        release=release(),
        on_step=hooks.on_step,
    )
    history = log.record(code, accept_state_loss=accepts)
    return topics, Lineage(code, history, log.history, accept_state_loss=accepts)


def _read(kafka: Clients, topic: str, end: Isolation) -> Iterator[RawRecord]:
    return kafka.read_to_end(topic, 0, client_id=topic, end=end)
