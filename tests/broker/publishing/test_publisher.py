"""`ps.Publisher`, as application code uses it."""

from __future__ import annotations

import random
import string
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pytest

import penstock as ps
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from penstock.errors import ConfigurationError, RegistryUnavailable, TransactionAborted
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.partitioner import partition_for
from penstock.testing.memory_registry import MemoryRegistry
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read

pytestmark = pytest.mark.broker

Words = ps.Topic[str, str]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    cents: int
    __avro_schema__: ClassVar[str] = (
        '{"type":"record","name":"Payment","namespace":"shop","fields":[{"name":"cents","type":"long"}]}'
    )


@pytest.fixture
def words(topic_prefix: str) -> Words:
    """A topic that is not there yet."""
    return ps.Topic(f"{topic_prefix}-words", key=str, value=str, partitions=3, config={"max.message.bytes": "2000"})


@pytest.fixture
def publisher(kafka: KafkaUnderTest) -> Iterator[ps.Publisher]:
    with ps.Publisher(Connection(kafka.bootstrap_servers)) as publisher:
        yield publisher


def record(value: str, key: str = "key", **more: Any) -> ps.Record[str, str]:
    return ps.Record(key=key, value=value, **more)


def values(kafka: KafkaUnderTest, topic: Words) -> list[bytes | None]:
    """Of all partitions, one partition after the other."""
    found = read(kafka.bootstrap_servers, topic.name)
    return [each.value for partition in sorted(found) for each in found[partition]]


def test_records_go_where_java_puts_their_keys_with_their_headers_and_the_time_of_now(
    kafka: KafkaUnderTest, publisher: ps.Publisher, words: Words
) -> None:
    before_ms = round(time.time() * 1000)
    for number in range(20):
        publisher.publish(words, record(str(number), f"key-{number % 5}", headers=(("n", b"%d" % number),)))
    publisher.flush()

    found = read(kafka.bootstrap_servers, words.name)
    assert sorted(found) == [0, 1, 2]
    for partition, stored in found.items():
        assert [int(each.value or b"") for each in stored] == [
            number for number in range(20) if partition_for(b"key-%d" % (number % 5), 3) == partition
        ]
        for each in stored:
            assert each.headers == (("n", each.value),)
            assert before_ms <= each.timestamp_ms <= time.time() * 1000


def test_a_topic_that_is_not_there_is_made_as_it_is_declared(
    kafka: KafkaUnderTest, publisher: ps.Publisher, words: Words
) -> None:
    publisher.publish(words, record("first"))
    admin = Admin(Connection(kafka.bootstrap_servers))
    assert admin.topics()[words.name].partitions == 3
    assert admin.topic_config([words.name])[words.name]["max.message.bytes"] == "2000"


def test_a_topic_that_is_there_and_declared_otherwise_is_refused_before_anything_is_sent(
    kafka: KafkaUnderTest, publisher: ps.Publisher, words: Words
) -> None:
    """Keys would go to other partitions than those of other programs."""
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(words.name, partitions=2)])
    with pytest.raises(ConfigurationError, match="has 2 partitions, its declaration says 3"):
        publisher.publish(words, record("x"))
    publisher.flush()
    assert values(kafka, words) == []


def test_of_a_batch_with_a_record_that_does_not_fit_nothing_is_sent(
    kafka: KafkaUnderTest, publisher: ps.Publisher, words: Words
) -> None:
    misfit: Any = record("x").with_value(17)
    with pytest.raises(ps.UnencodableValue) as caught:
        publisher.publish_batch(words, [record("a"), misfit, record("c")])
    assert caught.value.index == 1
    with pytest.raises(ps.UnencodableValue, match="stamped with the time of publishing"):
        publisher.publish_batch(words, [record("a"), record("b", timestamp_ms=1)])
    publisher.publish(words, record("good"))
    publisher.flush()
    assert values(kafka, words) == [b"good"]


def test_what_the_broker_refuses_is_told_by_flush_and_the_publisher_goes_on(
    kafka: KafkaUnderTest, publisher: ps.Publisher, words: Words
) -> None:
    publisher.publish(words, record("".join(random.choices(string.printable, k=5_000))))
    with pytest.raises(TransactionAborted, match="1 record") as caught:
        publisher.flush()
    assert caught.value.__notes__ == [
        "A plain publisher has no transaction: the records that were acknowledged are visible."
    ]
    publisher.publish(words, record("small"))
    publisher.flush()
    assert values(kafka, words) == [b"small"]


def test_a_registry_that_is_away_is_asked_again_by_the_same_call(kafka: KafkaUnderTest, topic_prefix: str) -> None:
    payments = ps.Topic(f"{topic_prefix}-payments", key=str, value=Payment, partitions=1)
    registry = MemoryRegistry()
    registry.is_down = True
    with ps.Publisher(Connection(kafka.bootstrap_servers), registry) as publisher:
        with pytest.raises(RegistryUnavailable):
            publisher.publish(payments, ps.Record(key="a", value=Payment(cents=5)))
        registry.is_down = False
        publisher.publish(payments, ps.Record(key="a", value=Payment(cents=5)))
    assert [each.value for each in read(kafka.bootstrap_servers, payments.name)[0]] == [b"\0\0\0\0\1\x0a"]


@pytest.mark.parametrize("auto_register", [True, False])
def test_the_configuration_says_where_to_and_whether_schemas_are_registered(
    kafka: KafkaUnderTest, registry: RegistryServer, topic_prefix: str, auto_register: bool
) -> None:
    payments = ps.Topic(f"{topic_prefix}-payments", key=str, value=Payment, partitions=1)
    config = ps.Config.model_validate(
        {
            "project": {"name": "shop"},
            "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
            "registry": {"url": registry.url, "auto_register": auto_register},
        }
    )
    payment = ps.Record(key="a", value=Payment(cents=5))
    with ps.Publisher.from_config(config) as publisher:
        if auto_register:
            publisher.publish(payments, payment)
        else:
            with pytest.raises(ConfigurationError, match="penstock schemas register"):
                publisher.publish(payments, payment)
    assert len(read(kafka.bootstrap_servers, payments.name)[0]) == (1 if auto_register else 0)


def test_a_block_that_fails_ends_with_its_own_error(kafka: KafkaUnderTest, words: Words) -> None:
    """And not with what flushing might say."""

    def fail() -> None:
        with ps.Publisher(Connection(kafka.bootstrap_servers)) as publisher:
            publisher.publish(words, record("x" * 5_000))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_a_broker_that_hangs_until_requests_are_sent_again_has_each_record_once_and_in_order() -> None:
    """It finds both copies when it wakes: the one that lay in its socket, and the one that was sent after the time-out.

    Without an idempotent producer it writes both.
    """
    count, words = 20_000, ps.Topic("words", key=str, value=str, partitions=1)
    with KafkaCluster() as cluster:
        (broker,) = cluster.brokers
        wake = threading.Timer(4.0, broker.cont)
        impatient = Connection(cluster.bootstrap_servers, client={"socket.timeout.ms": 1_000})
        with ps.Publisher(impatient) as publisher:
            for number in range(count):
                publisher.publish(words, record(str(number)))
                if number == count // 2:
                    broker.stop()
                    wake.start()
        found = values(KafkaUnderTest(cluster.bootstrap_servers, cluster), words)
    assert found == [b"%d" % number for number in range(count)]


@pytest.mark.full
def test_a_broker_that_is_killed_in_the_middle_makes_no_record_twice_and_loses_none() -> None:
    """Requests that were under way are sent again; the broker knows those that it had written."""
    count, words = 30_000, ps.Topic("words", key=str, value=str, partitions=1)
    with KafkaCluster() as cluster:
        (broker,) = cluster.brokers
        restart = threading.Thread(target=broker.restart)
        with ps.Publisher(Connection(cluster.bootstrap_servers)) as publisher:
            for number in range(count):
                publisher.publish(words, record(str(number)))
                if number == 10_000:
                    broker.kill()
                    restart.start()
            restart.join()
        found = values(KafkaUnderTest(cluster.bootstrap_servers, cluster), words)
    assert found == [b"%d" % number for number in range(count)]
