"""Crash-only transactions on a real broker: whole or absent, and one owner at a time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from penstock.clock import SystemClock
from penstock.errors import Fenced, OutcomeUnknown, TransactionAborted
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.reader import read_to_end
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.protocols import TransactionHooks
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.transactions.session import TransactionSession

pytestmark = pytest.mark.broker

MakeSession = Callable[..., TransactionSession]


class Steps(TransactionHooks):
    """Hooks that remember the steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def on_step(self, step: str) -> None:
        self.steps.append(step)


@pytest.fixture
def connection(kafka: KafkaUnderTest) -> Connection:
    return Connection(kafka.bootstrap_servers)


@pytest.fixture
def topic(connection: Connection, topic_prefix: str) -> str:
    name = f"{topic_prefix}-out"
    Admin(connection).create([TopicSettings(name, 1)])
    return name


@pytest.fixture
def make_session(connection: Connection, topic_prefix: str) -> MakeSession:
    def make(identity: str = "writer", *, timeout_ms: int = 60_000, budget_s: float = 45.0) -> TransactionSession:
        return TransactionSession(
            lambda: KafkaTransactionalProducer(
                connection, f"{topic_prefix}-{identity}", timeout_ms, max_batch_bytes=1_000_000
            ),
            clock=SystemClock(),
            hooks=Steps(),
            budget_s=budget_s,
        )

    return make


def committed(connection: Connection, topic: str) -> list[bytes | None]:
    """What a read_committed client sees, once nothing is open any more."""
    return [r.value for r in read_to_end(connection, topic, 0, client_id="test", stall_timeout_s=30)]


def put(session: TransactionSession, topic: str, *values: bytes) -> None:
    session.producer.produce(topic, [None] * len(values), list(values))


def test_a_committed_transaction_is_visible_whole(
    make_session: MakeSession, connection: Connection, topic: str
) -> None:
    session = make_session()
    session.open()
    session.begin()
    put(session, topic, b"a", b"b")
    session.commit()
    assert committed(connection, topic) == [b"a", b"b"]
    session.close()


def test_a_discarded_transaction_leaves_no_trace(make_session: MakeSession, connection: Connection, topic: str) -> None:
    """Records that reached the broker vanish when their producer is replaced; the next transaction stands alone."""
    session = make_session()
    session.open()
    session.begin()
    put(session, topic, b"lost")
    session.producer.flush(10)
    session.open()
    session.begin()
    put(session, topic, b"kept")
    session.commit()
    assert committed(connection, topic) == [b"kept"]
    session.close()


def test_a_newer_producer_fences_the_older_one(make_session: MakeSession, connection: Connection, topic: str) -> None:
    """The older one's open transaction is aborted, and it learns so by `Fenced`, wherever it was."""
    older, newer = make_session(), make_session()
    older.open()
    older.begin()
    put(older, topic, b"older")
    older.producer.flush(10)
    newer.open()
    put(older, topic, b"zombie")
    with pytest.raises(Fenced):
        older.commit()
    newer.begin()
    put(newer, topic, b"newer")
    newer.commit()
    assert committed(connection, topic) == [b"newer"]
    older.close()
    newer.close()


def test_a_transaction_that_times_out_is_fenced_by_the_coordinator(
    make_session: MakeSession, connection: Connection, topic: str
) -> None:
    """A process that stood still past its time-out finds its transaction gone; the next `open` works again."""
    session = make_session(timeout_ms=1_000)
    session.open()
    session.begin()
    put(session, topic, b"late")
    session.producer.flush(1)
    deadline = time.monotonic() + 30
    while Admin(connection).end_offsets([(topic, 0)], "read_committed")[topic, 0] == 0:  # until the abort marker
        assert time.monotonic() < deadline
    with pytest.raises((Fenced, TransactionAborted, OutcomeUnknown)):
        session.commit()
    session.open()
    session.begin()
    put(session, topic, b"again")
    session.commit()
    assert committed(connection, topic) == [b"again"]
    session.close()


def test_an_oversize_record_aborts_the_transaction_and_is_named(
    make_session: MakeSession, connection: Connection, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}-small"
    Admin(connection).create([TopicSettings(topic, 1, config={"max.message.bytes": "2000"})])
    session = make_session()
    session.open()
    session.begin()
    put(session, topic, b"small", random.Random(1).randbytes(10_240))
    with pytest.raises(TransactionAborted, match="not accepted"):
        session.commit()
    assert [len(r.value or b"") for r in session.producer.refused()] in ([10_240], [5, 10_240])
    session.open()
    assert committed(connection, topic) == []
    session.close()


def test_a_slow_commit_leaves_the_handle_in_doubt(
    kafka: KafkaUnderTest, make_session: MakeSession, connection: Connection, topic: str
) -> None:
    """A commit that took as long as a resend would is followed by a new handle; one that did not is not."""
    if kafka.cluster is None:
        pytest.skip("an external cluster cannot be stopped")
    broker = kafka.cluster.brokers[0]
    session = make_session()
    session.open()
    session.begin()
    put(session, topic, b"warm")
    session.commit()
    session.begin()
    put(session, topic, b"slow")
    session.producer.flush(10)
    broker.stop()
    waker = threading.Timer(0.6, broker.cont)
    waker.start()
    session.commit()
    waker.join()
    assert session.doubt() is not None
    session.open()
    assert session.doubt() is None
    assert committed(connection, topic) == [b"warm", b"slow"]
    session.close()
