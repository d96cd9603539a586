"""Which options reach librdkafka, and what becomes of those it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from penstock.config import ClientOptions, KafkaSettings
from penstock.errors import ConfigurationError, Fenced, PenstockError, TransactionAborted
from penstock.kafka.client import Connection
from penstock.kafka.producer import IdempotentProducer
from penstock.kafka.transactional_producer import KafkaTransactionalProducer

NOWHERE = "localhost:1"


def test_the_configuration_overlays_our_defaults_and_one_kind_overlays_all() -> None:
    connection = Connection(NOWHERE, client={"linger.ms": 1, "reconnect.backoff.ms": 7}, producer={"linger.ms": 2})
    options = connection.options({"linger.ms": 20, "acks": "all"}, connection.producer, "me")
    assert (options["linger.ms"], options["acks"], options["reconnect.backoff.ms"]) == (2, "all", 7)
    assert (options["bootstrap.servers"], options["client.id"]) == (NOWHERE, "me")


def test_a_broker_that_stands_still_is_given_up_after_ten_seconds_by_every_client() -> None:
    """Its part goes to another one after some nine; the client's own default is a minute."""
    connection = Connection(NOWHERE)
    assert connection.options({}, connection.admin, "me")["socket.timeout.ms"] == 10_000
    slow = Connection(NOWHERE, client={"socket.timeout.ms": 30_000})
    assert slow.options({}, slow.consumer, "me")["socket.timeout.ms"] == 30_000


def test_no_transaction_is_too_short_for_the_client() -> None:
    """The client refuses a handle whose requests, or records, may take longer than its transaction."""
    for timeout_ms in (2_000, 60_000):
        KafkaTransactionalProducer(Connection(NOWHERE), "me", timeout_ms, 1_000_000).close()


def test_a_transaction_that_is_too_short_for_what_is_configured_names_both() -> None:
    connection = Connection(NOWHERE, client={"socket.timeout.ms": 30_000})
    with pytest.raises(ConfigurationError, match=r"'me'.*socket\.timeout\.ms.*transaction\.timeout\.ms"):
        KafkaTransactionalProducer(connection, "me", 2_000, 1_000_000)


def test_a_connection_of_the_configuration_hides_its_secrets() -> None:
    settings = KafkaSettings(bootstrap_servers="a:1", client=ClientOptions({"sasl.password": "hush"}))
    connection = Connection.of(settings)
    assert connection.bootstrap_servers == "a:1"
    assert connection.client["sasl.password"] == "hush"
    assert "hush" not in repr(connection)


def test_options_that_the_client_refuses_are_a_configuration_error() -> None:
    connection = Connection(NOWHERE, producer={"no.such.option": 1})
    with pytest.raises(ConfigurationError, match=r"'me'.*no\.such\.option"):
        IdempotentProducer(connection, "me")


def test_a_record_above_the_clients_limit_is_named() -> None:
    """The client refuses it without asking a broker; it would do so at each attempt."""
    producer = IdempotentProducer(Connection(NOWHERE, producer={"message.max.bytes": 2_000}), "me")
    for headers in (None, [(), ()]):
        producer.forget_failures()
        with pytest.raises(TransactionAborted, match="MSG_SIZE_TOO_LARGE"):
            producer.produce("t", [b"a", b"b"], [b"small", b"v" * 3_000], headers=headers)
        assert [(r.topic, r.key, r.is_certain) for r in producer.refused()] == [("t", b"b", True)]
    producer.forget_failures()
    assert producer.refused() == []
    producer.close()


def failed(code: int, producer: IdempotentProducer, key: bytes = b"k") -> None:
    """As librdkafka's delivery report has it."""
    message = SimpleNamespace(topic=lambda: "t", key=lambda: key, value=lambda: b"v")
    producer._on_delivery_failed(KafkaError(code), message)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "family"),
    [
        (KafkaError.INVALID_RECORD, TransactionAborted),
        (KafkaError._MSG_TIMED_OUT, TransactionAborted),
        (KafkaError._TRANSPORT, TransactionAborted),
        (KafkaError.NOT_LEADER_FOR_PARTITION, TransactionAborted),
        (KafkaError.INVALID_PRODUCER_EPOCH, Fenced),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ConfigurationError),
        (KafkaError.INVALID_TIMESTAMP, ConfigurationError),
    ],
)
def test_a_failed_delivery_makes_flush_say_what_helps(code: int, family: type[PenstockError]) -> None:
    """Never `Retriable`: to flush again would not bring back the record that is missing."""
    producer = IdempotentProducer(Connection(NOWHERE), "me")
    failed(code, producer)
    failed(KafkaError._PURGE_QUEUE, producer)
    with pytest.raises(family, match=r"2 record\(s\) not accepted, the first: t: ") as told:
        producer.flush(1)
    assert type(told.value) is family
    producer.forget_failures()
    producer.flush(1)


def test_what_the_broker_refuses_are_suspects_since_it_blames_the_whole_batch() -> None:
    producer = IdempotentProducer(Connection(NOWHERE), "me")
    for key, code in enumerate(
        [
            KafkaError.INVALID_RECORD,
            KafkaError._INVALID_DIFFERENT_RECORD,
            KafkaError.MSG_SIZE_TOO_LARGE,
            KafkaError._TRANSPORT,
        ]
    ):
        failed(code, producer, b"%d" % key)
    assert [(r.key, r.is_certain) for r in producer.refused()] == [(b"0", False), (b"2", False)]


def test_what_makes_the_client_send_again_leaves_the_handle_in_doubt() -> None:
    producer = KafkaTransactionalProducer(Connection(NOWHERE), "me", 60_000, 1_000_000)
    assert _doubt_after(producer, KafkaError._TRANSPORT)
    assert _doubt_after(producer, KafkaError._TIMED_OUT)
    assert _doubt_after(producer, KafkaError._ALL_BROKERS_DOWN)
    assert not _doubt_after(producer, KafkaError._AUTHENTICATION)
    producer.close()


def _doubt_after(producer: KafkaTransactionalProducer, code: int) -> bool:
    producer._doubt = None
    producer._on_error(KafkaError(code))
    return producer._doubt is not None


def test_a_commit_that_was_not_answered_at_once_leaves_the_handle_in_doubt() -> None:
    """Each repetition may be quick, and yet the request has been sent twice."""
    producer = KafkaTransactionalProducer(Connection(NOWHERE), "me", 60_000, 1_000_000)
    with pytest.raises(PenstockError):
        producer.commit_transaction(0.01)
    assert producer._doubt is not None
    producer.close()
