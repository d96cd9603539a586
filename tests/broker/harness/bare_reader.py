"""Topics and groups as a bare client is shown them; shares no code with the engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from penstock.testing.record_batch import StoredRecord

Isolation = Literal["read_committed", "read_uncommitted"]
_MARKERS_TAKE_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """A group's place in one partition, and the text beside it."""

    offset: int
    metadata: str


def read(
    bootstrap_servers: str, topic: str, isolation: Isolation = "read_committed", *, at_once: bool = False
) -> dict[int, list[StoredRecord]]:
    """{partition: everything to the end, in offset order}.

    A commit is answered before its markers stand in the log, so unless it is to be `at_once`, those of a transaction
    that has just ended are waited for. One that stays open is not.
    """
    consumer = _consumer(bootstrap_servers, "oracle", isolation)
    try:
        metadata: Any = consumer.list_topics(topic, timeout=10).topics[topic]
        partitions = sorted(metadata.partitions)
        ends = _high_watermarks(bootstrap_servers, topic, partitions)
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        found: dict[int, list[StoredRecord]] = {p: [] for p in partitions}
        stands_at: dict[int, int] = {}  # where the end was, as far as this reader is shown it
        moved_at = time.monotonic()
        deadline = moved_at + 60
        while not all(stands_at.get(p, -1) >= ends[p] for p in partitions):
            now = time.monotonic()
            assert now < deadline, f"no end of {topic}: {stands_at} of {ends}"
            if len(stands_at) == len(partitions) and (at_once or now - moved_at > _MARKERS_TAKE_S):
                break
            for message in consumer.consume(1_000, 0.05):
                moved_at = time.monotonic()
                error = message.error()
                partition = message.partition() or 0
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    stands_at[partition] = message.offset() or 0
                else:
                    found[partition].append(_stored(message))
        return found
    finally:
        consumer.close()


def _high_watermarks(bootstrap_servers: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    consumer = _consumer(bootstrap_servers, "oracle", "read_uncommitted")
    try:
        marks: Any = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in partitions}
        return {p: high for p, (_, high) in marks.items()}
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
