"""Registries with a topic of their own, and a look into that topic that shares no code with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from penstock.embedded.registry import RegistryServer
from penstock.testing.pytest_plugin import KafkaUnderTest

StartRegistry = Callable[[], RegistryServer]


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


ReadLog = Callable[[], list[Raw]]


@pytest.fixture
def schemas_topic(topic_prefix: str) -> str:
    return f"{topic_prefix}-schemas"


@pytest.fixture
def new_registry(kafka: KafkaUnderTest, schemas_topic: str) -> Iterator[StartRegistry]:
    """Starts registries on this test's topic; whatever still runs ends with the test."""
    with ExitStack() as stack:

        def start() -> RegistryServer:
            server = RegistryServer(kafka.bootstrap_servers, topic=schemas_topic, session_timeout_s=2.0)
            return stack.enter_context(server)

        yield start


@pytest.fixture
def read_log(kafka: KafkaUnderTest, schemas_topic: str) -> ReadLog:
    """Reads all of this test's topic."""

    def read() -> list[Raw]:
        consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
            }
        )
        consumer.assign([TopicPartition(schemas_topic, 0, OFFSET_BEGINNING)])
        found: list[Raw] = []
        try:
            while True:
                message = consumer.poll(10.0)
                assert message is not None, "the topic cannot be read"
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    return found
                key, offset = _bytes(message.key()) or b"", message.offset()
                assert offset is not None
                headers = dict(message.headers() or [])
                writer = headers.get("penstock.writer")
                found.append(
                    Raw(
                        offset,
                        json.loads(key),
                        key,
                        _bytes(message.value()),
                        writer.decode() if isinstance(writer, bytes) else writer,
                    )
                )
        finally:
            consumer.close()

    return read


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
