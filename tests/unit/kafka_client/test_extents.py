"""Where partitions begin and end: one request at a time, whoever asks, and no client that has failed is asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition

from penstock.errors import ConfigurationError, KafkaUnavailable, PenstockError
from penstock.kafka import renewed_admin
from penstock.kafka.client import Connection
from penstock.kafka.extents import Extent, Extents

PATIENCE_S = 20.0
AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))


class Lists:
    """A client whose answers come when the test says so. What it has: offset 3 up to 7, an open transaction at 5."""

    def __init__(self, cluster: Lists | None = None) -> None:
        self.failures: dict[str, Exception] = {} if cluster is None else cluster.failures
        self.offsets: dict[str, int] = {} if cluster is None else cluster.offsets
        self.asked: list[set[str]] = []
        self.pending = 0
        self.most_pending = 0
        self.may_answer = threading.Event()
        self.has_asked = threading.Event()
        self.is_destroyed = False

    def list_offsets(
        self, asked: dict[TopicPartition, object], *, isolation_level: IsolationLevel, request_timeout: float
    ) -> dict[TopicPartition, Future[object]]:
        assert not self.is_destroyed
        assert request_timeout > 0
        self.asked.append({tp.topic for tp in asked})
        answers: dict[TopicPartition, Future[object]] = {tp: Future() for tp in asked}
        self.pending += 1
        self.most_pending = max(self.most_pending, self.pending)
        threading.Thread(target=self._answer, args=(answers, isolation_level), daemon=True).start()
        self.has_asked.set()
        return answers

    def _answer(self, answers: dict[TopicPartition, Future[object]], level: IsolationLevel) -> None:
        self.may_answer.wait(PATIENCE_S)
        self.pending -= 1
        number = len(self.asked) % 3
        offset = 3 if number == 1 else 5 if level is IsolationLevel.READ_COMMITTED else 7
        for tp, future in answers.items():
            if tp.topic in self.failures:
                future.set_exception(self.failures[tp.topic])
            else:
                future.set_result(SimpleNamespace(offset=self.offsets.get(tp.topic, offset)))

    def __exit__(self, *_: object) -> None:
        self.is_destroyed = True


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Lists]:
    """All that were made; the first answers when it may, the others at once."""
    made: list[Lists] = []

    def connect(*_: object) -> Lists:
        made.append(Lists(made[0] if made else None))
        if len(made) > 1:
            made[-1].may_answer.set()
        return made[-1]

    monkeypatch.setattr(renewed_admin, "connected", connect)
    return made


@pytest.fixture
def asks(clients: list[Lists]) -> Iterator[Extents]:
    made = Extents(Connection("nowhere:1"), "asks")
    yield made
    for client in clients:
        client.may_answer.set()
    made.close()
    assert all(client.is_destroyed for client in clients)


def test_what_is_asked_while_an_answer_is_awaited_is_asked_together_behind_it(
    asks: Extents, clients: list[Lists]
) -> None:
    first = asks.ask([("first", 0)])
    while not clients:
        assert not first.done()
    assert clients[0].has_asked.wait(PATIENCE_S)
    others = [asks.ask([(f"t{n}", 0)]) for n in range(16)]
    clients[0].may_answer.set()
    assert first.result(PATIENCE_S) == {("first", 0): Extent(3, 5, 7)}
    assert [answer.result(PATIENCE_S) for answer in others] == [{(f"t{n}", 0): Extent(3, 5, 7)} for n in range(16)]
    assert clients[0].most_pending == 1, "a second request at the same time can end the process"
    assert clients[0].asked == [{"first"}] * 3 + [{f"t{n}" for n in range(16)}] * 3


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (AWAY, KafkaUnavailable),
        (KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), ConfigurationError),
        (-1001, KafkaUnavailable),
    ],
    ids=["away", "forbidden", "no answer"],
)
def test_a_partition_that_is_not_answered_for_spoils_no_other_and_its_client_is_asked_no_more(
    asks: Extents, clients: list[Lists], failure: Exception | int, expected: type[PenstockError]
) -> None:
    sound = asks.ask([("first", 0)])
    while not clients:
        assert not sound.done()
    assert clients[0].has_asked.wait(PATIENCE_S)
    if isinstance(failure, int):
        clients[0].offsets["bad"] = failure
    else:
        clients[0].failures["bad"] = failure
    bad, good = asks.ask([("good", 0), ("bad", 0)]), asks.ask([("good", 0)])
    clients[0].may_answer.set()
    with pytest.raises(expected, match=r"bad\[0\]"):
        bad.result(PATIENCE_S)
    assert good.result(PATIENCE_S) == {("good", 0): Extent(3, 5, 7)}
    assert asks.ask([("good", 0)]).result(PATIENCE_S)
    assert [client.is_destroyed for client in clients] == [True, False]


def test_whatever_goes_wrong_whoever_asked_hears_of_it(asks: Extents, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Lists:
        raise ConfigurationError("no such option")

    monkeypatch.setattr(renewed_admin, "connected", refuse)
    with pytest.raises(ConfigurationError, match="no such option"):
        asks.ask([("t", 0)]).result(PATIENCE_S)
