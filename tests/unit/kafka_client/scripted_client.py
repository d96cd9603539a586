"""A consumer's client that follows a script, and a listener that notes what it is told."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from penstock.kafka import consumer as consumer_module
from penstock.kafka.client import Connection
from penstock.kafka.consumer import GroupConsumer
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.polled import Partition


def fatal(text: str) -> KafkaError:
    return KafkaError(KafkaError._FATAL, f"Fatal error: {text}", True)


class Client:
    """As librdkafka's consumer, of which a fatal error is the last that is heard; closing it revokes what it has."""

    made: ClassVar[list[Client]] = []
    says: ClassVar[list[KafkaError]] = []
    tells_at_once: ClassVar[int] = 1

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.subscribed: list[str] = []
        self.is_closed = False
        self.made.append(self)

    def subscribe(
        self, topics: list[str], on_assign: Callable[..., None], on_revoke: Callable[..., None], on_lost: object
    ) -> None:
        del on_lost
        self.subscribed, self.on_assign, self.on_revoke = topics, on_assign, on_revoke

    def assign(self, *numbers: int) -> None:
        """Partitions of `in` come, as inside a poll."""
        self.on_assign(self, [TopicPartition("in", number) for number in numbers])

    def revoke(self, *numbers: int) -> None:
        """They go, as inside a poll."""
        self.on_revoke(self, [TopicPartition("in", number) for number in numbers])

    def unsubscribe(self) -> None:
        self.subscribed = []

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        del partitions

    def pause(self, partitions: list[TopicPartition]) -> None:
        del partitions

    def consume(self, most: int, timeout_s: float) -> list[Any]:
        del most, timeout_s
        errors, self.says[: self.tells_at_once] = self.says[: self.tells_at_once], []
        return [
            SimpleNamespace(error=lambda e=e: e, topic=lambda: None, partition=lambda: None, offset=lambda: None)
            for e in errors
        ]

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        del partitions
        self.unassign()

    def unassign(self) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def close(self) -> None:
        self.is_closed = True
        if self.subscribed:
            self.on_revoke(self, [TopicPartition("in", 0)])


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_assigned(self, partitions: list[Partition]) -> None:
        self.told.append(f"assigned {partitions}")

    def on_revoked(self, partitions: list[Partition]) -> None:
        self.told.append(f"revoked {partitions}")

    def on_lost(self, partitions: list[Partition]) -> None:
        self.told.append(f"lost {partitions}")


def scripted_member(monkeypatch: pytest.MonkeyPatch, listener: Listener, settings: GroupSettings) -> GroupConsumer:
    """A member of `p` on a client with an empty script: it has subscribed to `in`, and hears nothing yet."""
    Client.made.clear()
    Client.says.clear()
    monkeypatch.setattr(consumer_module, "Consumer", Client)
    made = GroupConsumer(Connection("nowhere:1"), "p", "p.0", listener, settings)
    made.subscribe(["in"])
    return made
