"""Topics and groups as a bare client is shown them; shares no code with the engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from penstock.testing.record_batch import StoredRecord

Isolation = Literal["read_committed", "read_uncommitted"]


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """A group's place in one partition, and the text beside it."""

    offset: int
    metadata: str


def read(bootstrap_servers: str, topic: str, isolation: Isolation = "read_committed") -> dict[int, list[StoredRecord]]:
    """{partition: everything to the end, in offset order}."""
    consumer = _consumer(bootstrap_servers, "oracle", isolation)
    try:
        metadata: Any = consumer.list_topics(topic, timeout=10).topics[topic]
        partitions = sorted(metadata.partitions)
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        found: dict[int, list[StoredRecord]] = {p: [] for p in partitions}
        open_ends = set(partitions)
        deadline = time.monotonic() + 60
        while open_ends:
            assert time.monotonic() < deadline, f"no end of {topic} {sorted(open_ends)}"
            for message in consumer.consume(1_000, 0.2):
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    open_ends.discard(message.partition() or 0)
                else:
                    found[message.partition() or 0].append(_stored(message))
        return found
    finally:
        consumer.close()


def group_offsets(bootstrap_servers: str, group: str, topic: str, partitions: Sequence[int]) -> list[CommittedOffset]:
    """The group's offsets, one per partition."""
    consumer = _consumer(bootstrap_servers, group, "read_committed")
    try:
        found = consumer.committed([TopicPartition(topic, p) for p in partitions], timeout=30)
        return [CommittedOffset(tp.offset, tp.metadata or "") for tp in found]
    finally:
        consumer.close()


def _consumer(bootstrap_servers: str, group: str, isolation: Isolation) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )


def _stored(message: Message) -> StoredRecord:
    raw: Any = message
    return StoredRecord(raw.offset(), raw.timestamp()[1], raw.key(), raw.value(), tuple(raw.headers() or ()))
