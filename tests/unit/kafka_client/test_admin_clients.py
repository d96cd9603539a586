"""An admin client that has failed is destroyed by name: as garbage, it could be destroyed by its own thread."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from penstock.errors import KafkaUnavailable
from penstock.kafka import admin, renewed_admin
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.record_deletion import RecordDeleter
from penstock.kafka.survey import Survey

NOWHERE = Connection("nowhere:1")


def answered(answer: object) -> Future[object]:
    future: Future[object] = Future()
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
    return future


class Client:
    """Of all that are made, the first ones fail."""

    made: list[Client]
    failing = 1
    waited_s: list[float]

    def __init__(self, *_: object) -> None:
        self.is_destroyed = False
        self.made.append(self)

    def _answer(self, answer: object) -> Future[object]:
        return answered(
            KafkaException(KafkaError(KafkaError._TRANSPORT)) if self in self.made[: self.failing] else answer
        )

    def describe_cluster(self, request_timeout: float, **_: object) -> Future[object]:
        self.waited_s.append(request_timeout)
        return self._answer(SimpleNamespace(cluster_id="c", controller=None, nodes=[]))

    def list_consumer_groups(self, **_: object) -> Future[object]:
        return self._answer(SimpleNamespace(valid=[]))

    def delete_records(self, partitions: list[TopicPartition], **_: object) -> dict[TopicPartition, Future[object]]:
        return {tp: self._answer(None) for tp in partitions}

    def __exit__(self, *_: object) -> None:
        self.is_destroyed = True


@pytest.fixture(autouse=True)
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    Client.made, Client.waited_s = [], []
    for module in (admin, renewed_admin):
        monkeypatch.setattr(module, "connected", Client)
    return Client.made


def test_the_admins(clients: list[Client]) -> None:
    assert Admin(NOWHERE).cluster().cluster_id == "c"
    assert [client.is_destroyed for client in clients] == [True, False]


def test_a_client_that_gets_no_answer_is_soon_replaced_and_later_ones_are_given_longer(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it takes for the controller may just have died; the next one is told of another broker."""
    monkeypatch.setattr(Client, "failing", 7)
    Admin(NOWHERE).cluster()
    assert Client.waited_s == [1, 1, 2, 2, 4, 4, 5, 5]
    assert len(clients) == 8


def test_the_surveys(clients: list[Client]) -> None:
    asks = Survey(NOWHERE, "asks")
    with pytest.raises(KafkaUnavailable):
        asks.groups()
    assert asks.groups() == []
    assert [client.is_destroyed for client in clients] == [True, False]
    asks.close()
    assert clients[1].is_destroyed


def test_the_record_deleters(clients: list[Client]) -> None:
    deletes = RecordDeleter(NOWHERE, "deletes")
    for _ in range(3):
        deletes.delete({("t", 0): 5})
    assert [client.is_destroyed for client in clients] == [True, False]
