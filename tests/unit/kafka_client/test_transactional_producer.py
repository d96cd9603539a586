"""What needs no broker of a transactional producer: a client that does not come back."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from penstock.errors import TransactionAborted
from penstock.kafka import transactional_producer
from penstock.kafka.client import Connection
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.protocols import GroupMetadata


class NeverBack:
    """A client whose call ignores its time-out, as librdkafka's does where it waits for a coordinator."""

    def __init__(self) -> None:
        self.may_end = Event()
        self.timeout_s = 0.0

    def send_offsets_to_transaction(self, positions: list[Any], group: object, timeout_s: float) -> None:
        del positions, group
        self.timeout_s = timeout_s
        self.may_end.wait(60)


def test_offsets_that_the_client_never_comes_back_with_abort_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactional_producer, "_OFFSETS_PATIENCE_S", 0.02)
    monkeypatch.setattr(transactional_producer, "_MARGIN_S", 0.01)
    producer, client = KafkaTransactionalProducer(Connection("127.0.0.1:1"), "p.0", 60_000, 1_000_000), NeverBack()
    monkeypatch.setattr(producer, "_producer", client)
    try:
        with pytest.raises(TransactionAborted, match=r"'p\.0' has not come back"):
            producer.send_offsets({("in", 0): (1, "")}, GroupMetadata(object(), 1, "me"), 45.0)
        assert client.timeout_s == 0.02
    finally:
        client.may_end.set()


def test_what_the_client_raises_in_its_thread_is_raised_here() -> None:
    producer = KafkaTransactionalProducer(Connection("127.0.0.1:1"), "p.0", 60_000, 1_000_000)
    with pytest.raises(TransactionAborted, match=r"send_offsets_to_transaction of 'p\.0'"):  # no transaction is open
        producer.send_offsets({("in", 0): (1, "")}, GroupMetadata(None, 1, "me"), 1.0)
