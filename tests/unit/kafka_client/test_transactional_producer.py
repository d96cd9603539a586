"""What needs no broker of a transactional producer: a client that does not come back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from penstock.errors import Fenced, KafkaUnavailable, PenstockError, TransactionAborted
from penstock.kafka import transactional_producer
from penstock.kafka.client import Connection
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.protocols import GroupMetadata

FILES = Path("/proc/self/fd")
_REPLACED = 20


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


class Client:
    """A client whose call does this, on whatever thread."""

    def __init__(self, does: Callable[[], None]) -> None:
        self.does = does
        self.is_daemon = False

    def send_offsets_to_transaction(self, positions: list[Any], group: object, timeout_s: float) -> None:
        del positions, group, timeout_s
        self.is_daemon = current_thread().daemon
        self.does()

    def poll(self, timeout_s: float) -> int:
        del timeout_s
        return 0


def producer_of(client: object, monkeypatch: pytest.MonkeyPatch) -> KafkaTransactionalProducer:
    producer = KafkaTransactionalProducer(Connection("127.0.0.1:1"), "p.0", 60_000, 1_000_000)
    monkeypatch.setattr(producer, "_producer", client)
    return producer


def send(producer: KafkaTransactionalProducer) -> None:
    producer.send_offsets({("in", 0): (1, "")}, GroupMetadata(object(), 1, "me"), 45.0)


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (KafkaError(KafkaError._FENCED, fatal=True), Fenced),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, fatal=True), Fenced),
        (KafkaError(KafkaError._TIMED_OUT, retriable=True), KafkaUnavailable),
        (KafkaError(KafkaError.ILLEGAL_GENERATION), TransactionAborted),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID), TransactionAborted),
    ],
)
def test_what_the_client_says_on_its_thread_keeps_its_family(
    monkeypatch: pytest.MonkeyPatch, error: KafkaError, family: type[PenstockError]
) -> None:
    """A fence that was taken for an abort would be answered by fencing the other one in turn."""

    def fails() -> None:
        raise KafkaException(error)

    with pytest.raises(PenstockError, match=r"send_offsets_to_transaction of 'p\.0'") as told:
        send(producer_of(Client(fails), monkeypatch))
    assert type(told.value) is family


def test_a_thread_that_is_left_behind_keeps_no_process_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(lambda: None)
    send(producer_of(client, monkeypatch))
    assert client.is_daemon


@pytest.mark.parametrize(("least_s", "is_doubtful"), [(0.0, True), (60.0, False)])
def test_offsets_that_took_long_enough_to_be_sent_twice_leave_the_handle_in_doubt(
    monkeypatch: pytest.MonkeyPatch, least_s: float, *, is_doubtful: bool
) -> None:
    monkeypatch.setattr(transactional_producer, "_DOUBTFUL_OFFSETS_S", least_s)
    producer = producer_of(Client(lambda: None), monkeypatch)
    send(producer)
    assert (producer.doubt() is not None) is is_doubtful


def test_no_call_for_offsets_waits_longer_than_a_request_and_its_repetition_may_take() -> None:
    """Long enough that the client answers by itself where it can; below every transaction's budget by default."""
    assert transactional_producer._OFFSETS_PATIENCE_S == 20.0
    assert transactional_producer._DOUBTFUL_OFFSETS_S < 0.5, "its repetition waits 500 ms"


@pytest.mark.skipif(not FILES.exists(), reason="the system does not tell open files")
def test_a_producer_that_is_closed_keeps_neither_threads_nor_sockets() -> None:
    """A worker replaces its producer after each discarded transaction: in an outage, again and again for hours."""
    gc.disable()
    try:
        before = open_files()
        for number in range(_REPLACED):
            producer = KafkaTransactionalProducer(Connection("127.0.0.1:1"), f"p.{number}", 60_000, 1_000_000)
            producer.close()
            producer.close()
            del producer
        # Each has half a dozen; handles of other tests may open and close one meanwhile.
        assert open_files() < before + _REPLACED
    finally:
        gc.enable()


def open_files() -> int:
    return len(list(FILES.iterdir()))
