"""A look into a registry's topic that shares no code with the registry, and records written past it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition


@dataclass(frozen=True)
class Raw:
    """A record of the topic as it stands there."""

    offset: int
    key: dict[str, Any]
    key_bytes: bytes
    value: bytes | None
    writer: str | None

    @property
    def json(self) -> dict[str, Any]:
        """The value."""
        return {} if not self.value else dict(json.loads(self.value))


class RawLog:
    """One registry's topic, read and written with a bare client."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.bootstrap_servers, self.topic = bootstrap_servers, topic

    def read(self) -> list[Raw]:
        """All of it."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
            }
        )
        consumer.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])
        found: list[Raw] = []
        try:
            while True:
                message = consumer.poll(10.0)
                assert message is not None, "the topic cannot be read"
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    return found
                key, offset, headers = _bytes(message.key()) or b"", message.offset(), dict(message.headers() or [])
                assert offset is not None
                try:
                    parsed = json.loads(key)
                except ValueError:
                    parsed = {}
                writer = _bytes(headers.get("penstock.writer"))
                found.append(Raw(offset, parsed, key, _bytes(message.value()), writer.decode() if writer else None))
        finally:
            consumer.close()

    def write(self, *records: tuple[bytes, bytes | None], writer: str | None = None) -> None:
        """Append records, as another registry or with a writer's header."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers})
        for key, value in records:
            producer.produce(
                self.topic, value, key, 0, headers=[("penstock.writer", writer.encode())] if writer else []
            )
        assert producer.flush(10) == 0

    def schemas(self) -> list[dict[str, Any]]:
        """Values of all SCHEMA records, overwritten ones included."""
        return [r.json for r in self.read() if r.key.get("keytype") == "SCHEMA" and r.value]

    def claims(self) -> list[Raw]:
        """The records in which a writer says that it begins."""
        return [r for r in self.read() if r.key.get("keytype") == "NOOP" and r.value]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
