"""The files of a real broker, compared with what a client is shown in both isolation levels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.record_batch import StoredRecord, UnreadableLog
from penstock.testing.segments import Fate, read_topic

pytestmark = pytest.mark.broker


@pytest.fixture
def files(kafka: KafkaUnderTest) -> Path:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    return kafka.cluster.log_directory(1)


@pytest.fixture
def topic(kafka: KafkaUnderTest, topic_prefix: str) -> str:
    """One partition, in segments that are closed quickly."""
    settings = TopicSettings(topic_prefix, 1, config={"segment.bytes": str(1024 * 1024)})
    Admin(Connection(kafka.bootstrap_servers)).create([settings])
    return topic_prefix


@pytest.fixture
def open_producers() -> Iterator[list[Producer]]:
    """Held until the test ends: a producer that is dropped may still abort what it left open."""
    held: list[Producer] = []
    yield held
    held.clear()


def transactional(kafka: KafkaUnderTest, name: str, codec: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "transactional.id": name,
            "compression.type": codec,
            "linger.ms": 20,
        }
    )
    producer.init_transactions(30)
    return producer


def produce(producer: Producer, topic: str, texts: Iterator[str]) -> None:
    for n, text in enumerate(texts):
        headers: list[tuple[str, str | bytes | None]] = [("n", str(n).encode()), ("none", None)]
        value = None if n % 10 == 9 else (text * 20).encode()
        producer.produce(topic, value, text.encode() if n % 3 else None, 0, headers=headers)
    producer.flush(30)


def shown(kafka: KafkaUnderTest, topic: str, isolation: str) -> list[StoredRecord]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[StoredRecord] = []
    try:
        while True:
            message = consumer.poll(10.0)
            assert message is not None
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
            found.append(stored(message))
    finally:
        consumer.close()


def stored(message: Message) -> StoredRecord:
    raw: Any = message
    headers = tuple(raw.headers() or ())
    return StoredRecord(raw.offset(), raw.timestamp()[1], raw.key(), raw.value(), headers)


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4"])
def test_the_files_say_what_a_client_is_shown(
    kafka: KafkaUnderTest, files: Path, topic: str, open_producers: list[Producer], codec: str
) -> None:
    """Committed, aborted, plain and open data of several producers, over several segments."""
    plain = Producer({"bootstrap.servers": kafka.bootstrap_servers, "compression.type": codec})
    one, two = transactional(kafka, f"{topic}.1", codec), transactional(kafka, f"{topic}.2", codec)
    open_producers += [one, two]
    for turn in range(6):
        one.begin_transaction()
        two.begin_transaction()
        produce(one, topic, (f"one {turn} {n} {n**9}" for n in range(500)))
        produce(two, topic, (f"two {turn} {n} {n**9}" for n in range(500)))
        produce(plain, topic, (f"plain {turn} {n}" for n in range(10)))
        one.commit_transaction(30)
        if turn == 5:
            break
        two.abort_transaction(30) if turn % 2 else two.commit_transaction(30)
    until_markers_are_written(files, topic)

    (log,) = read_topic(files, topic).values()
    assert [transaction.count for transaction in log.open_transactions] == [500]
    assert log.count(Fate.ABORTED) == 2 * 500
    assert log.count(Fate.COMMITTED) == (6 + 3) * 500 + 6 * 10
    assert log.records() == shown(kafka, topic, "read_uncommitted")
    visible = log.visible()
    assert visible == shown(kafka, topic, "read_committed")
    assert len(visible) < log.count(Fate.COMMITTED), "the open transaction holds readers back"


def until_markers_are_written(files: Path, topic: str) -> None:
    """A commit is answered before its markers are written."""
    deadline = time.monotonic() + 30
    while len(next(iter(read_topic(files, topic).values())).open_transactions) > 1:
        assert time.monotonic() < deadline


def test_what_zstd_has_compressed_is_counted_and_not_read(kafka: KafkaUnderTest, files: Path, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "compression.type": "zstd"})
    produce(producer, topic, (f"text {n % 2}" for n in range(200)))
    (log,) = read_topic(files, topic).values()
    assert log.count(Fate.COMMITTED) == 200
    with pytest.raises(UnreadableLog, match="compressed with zstd"):
        log.records()
