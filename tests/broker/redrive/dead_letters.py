"""Dead letters of four systems in one topic, as their writers leave them there; written by a bare client."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from confluent_kafka import Producer

from tests.broker.harness.topics import create

Headers = list[tuple[str, bytes | None]]

USERS: Headers = [("traceparent", b"00-1"), ("tag", b"2")]
PARTITIONS = 3
FIRST_MS = 1_500_000_000_000
ANY_TIME = {"message_timestamp_before_max_ms": str(2**63 - 1), "retention_ms": "-1"}


def penstock(topic: str, partition: int, offset: int, **more: str) -> Headers:
    told = {
        "__dlq.errors.topic": topic,
        "__dlq.errors.partition": str(partition),
        "__dlq.errors.offset": str(offset),
        "__dlq.errors.message": "no price",
        "penstock.dlq.exception": "penstock.errors.BadRecord",
        "penstock.dlq.reason": "price",
        "penstock.dlq.stage": "process",
        "penstock.dlq.operator": "add",
        "penstock.dlq.pipeline": "delays",
        "penstock.dlq.fingerprint": "3fa9000000000001",
        "penstock.dlq.failed.ms": str(FIRST_MS + offset),
        **more,
    }
    return [(name, text.encode()) for name, text in told.items()]


def connect(topic: str, partition: int, offset: int) -> Headers:
    told = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "connector.name": "to-warehouse",
        "task.id": "0",
        "stage": "VALUE_CONVERTER",
        "class.name": "org.apache.kafka.connect.json.JsonConverter",
        "exception.class.name": "org.apache.kafka.connect.errors.DataException",
        "exception.message": "secret 4111",
        "exception.stacktrace": "x.DataException: secret 4111\n\tat com.acme.Prices.parse(Prices.java:17)\n",
    }
    return [(f"__connect.errors.{name}", text.encode()) for name, text in told.items()]


def streams(topic: str, partition: int, offset: int) -> Headers:
    told = {
        "exception": "com.acme.BadPrice",
        "stacktrace": "com.acme.BadPrice: secret 4111\n\tat com.acme.Adder.add(Adder.java:3)\n",
        "message": "secret 4111",
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
    }
    return [(f"__streams.errors.{name}", text.encode()) for name, text in told.items()]


def spring(topic: str, partition: int, offset: int) -> Headers:
    return [
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", struct.pack(">i", partition)),
        ("kafka_dlt-original-offset", struct.pack(">q", offset)),
        ("kafka_dlt-exception-fqcn", b"com.acme.BadPrice"),
        ("kafka_dlt-exception-message", b"secret 4111"),
        ("kafka_dlt-original-consumer-group", b"billing"),
    ]


WRITERS = (penstock, connect, streams, spring)


@dataclass(frozen=True)
class Letters:
    """A source topic that is empty, and a topic of dead letters that came from it.

    Letter n is of writer n % 4, in partition n % 3, and its original has the key `key-n` and the value n. Every 97th
    holds but a part of its original. Records of an aborted transaction stand between them.

    Attributes:
        source: where they came from.
        dead: where they are.
        count: how many.
    """

    source: str
    dead: str
    count: int

    @staticmethod
    def written(bootstrap_servers: str, prefix: str, count: int) -> Letters:
        """New topics."""
        letters = Letters(f"{prefix}-in", f"{prefix}.dlq.delays.{prefix}-in", count)
        for topic in (letters.source, letters.dead):
            create(bootstrap_servers, topic, PARTITIONS, **ANY_TIME)
        producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": prefix, "linger.ms": 5})
        producer.init_transactions(30)
        for first in range(0, count, 500):
            producer.begin_transaction()
            for n in range(first, min(count, first + 500)):
                letters._write(producer, n)
            producer.commit_transaction(30)
            producer.begin_transaction()
            for partition in range(PARTITIONS):
                producer.produce(letters.dead, b"aborted", b"aborted", partition)
            producer.flush(30)
            producer.abort_transaction(30)
        return letters

    def _write(self, producer: Producer, n: int) -> None:
        partition = n % PARTITIONS
        own = WRITERS[n % 4](self.source, partition, n)
        if self.is_partial(n):
            own = [*penstock(self.source, partition, n), ("penstock.dlq.truncated.bytes", b"9000000")]
        producer.produce(
            self.dead, str(n).encode(), b"key-%d" % n, partition, timestamp=FIRST_MS + n, headers=[*USERS, *own]
        )

    @staticmethod
    def is_partial(n: int) -> bool:
        """Whether that letter cannot be redriven."""
        return n % 97 == 0

    @property
    def whole(self) -> list[int]:
        """Those that can."""
        return [n for n in range(self.count) if not self.is_partial(n)]
