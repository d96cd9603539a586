"""What a registry makes of another's claim in its log, before and after its own."""

from __future__ import annotations

import queue
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from penstock.embedded.registry import store as module
from penstock.embedded.registry.layout import NOOP, Claim, Key, KeyType, Small
from penstock.embedded.registry.process import require_topic
from penstock.embedded.registry.refusal import Refusal
from penstock.embedded.registry.store import Store
from penstock.errors import PenstockError, ServerUnreachable
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.log import Appender
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.registry.raw_log import RawLog

pytestmark = pytest.mark.broker

KEY, LEVEL = Key(KeyType.CONFIG, "s"), Small("s", compatibility_level="FULL").encode()


class Ends(queue.Queue[PenstockError | None]):
    """The reasons with which a store said that it can write no more."""

    def next(self) -> PenstockError | None:
        return self.get(timeout=30)


@contextmanager
def new_store(connection: Connection, topic: str, ends: Ends) -> Generator[Store]:
    store = Store(connection, topic, timeout_s=10.0, on_end=ends.put)
    with ExitStack() as stack:
        stack.callback(store.close)
        yield store


@pytest.fixture
def connection(kafka: KafkaUnderTest, log: RawLog) -> Connection:
    """To the cluster with this test's topic."""
    connection = Connection(kafka.bootstrap_servers)
    require_topic(Admin(connection), log.topic)
    return connection


def claim(log: RawLog, writer: str, supersedes: str | None) -> None:
    log.write((NOOP.encode(), Claim(writer, supersedes).encode()), writer=writer)


def test_a_writer_that_is_superseded_learns_it_from_the_log_though_nobody_asks_it_anything(
    connection: Connection, log: RawLog
) -> None:
    """Else it would go on answering questions from a log that another writes, until somebody registers a schema."""
    ends = Ends()
    with new_store(connection, log.topic, ends) as store:
        store.take_over()
        claim(log, "rival", log.claims()[-1].writer)
        assert ends.next() is None
        with pytest.raises(Refusal), store.writing():
            pytest.fail("it writes")
    assert log.claims()[-1].writer == "rival"


def test_of_two_that_claim_the_same_log_the_second_gives_way(
    connection: Connection, log: RawLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has decided to claim, and stands still until another has."""

    def slow_appender(*args: Any, **kwargs: Any) -> Appender:
        claim(log, "rival", None)
        return Appender(*args, **kwargs)

    monkeypatch.setattr(module, "Appender", slow_appender)
    ends = Ends()
    with new_store(connection, log.topic, ends) as store:
        with pytest.raises(ServerUnreachable):
            store.take_over()
        assert ends.next() is None
    assert [each.writer == "rival" for each in log.claims()] == [True, False]


def test_what_a_writer_was_doing_when_another_claimed_its_log_is_not_acknowledged(
    connection: Connection, log: RawLog
) -> None:
    ends = Ends()
    with new_store(connection, log.topic, ends) as store:
        store.take_over()
        mine = log.claims()[-1].writer
        with store.writing():
            claim(log, "rival", mine)
            with pytest.raises(Refusal):
                store.put(KEY, LEVEL)
        assert ends.next() is None
    with new_store(connection, log.topic, ends) as successor:
        successor.take_over()
        with successor.reading() as contents:
            assert contents.levels == {}
