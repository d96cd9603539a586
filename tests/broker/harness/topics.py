"""Topics as a test wants them: their settings changed on the way, records with a time of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined] # re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from tests.broker.harness.victims import until


class Row(NamedTuple):
    """A record to publish; timestamp 0 = now."""

    key: bytes | None
    value: bytes | None
    partition: int = 0
    timestamp_ms: int = 0


def create(bootstrap_servers: str, topic: str, partitions: int = 1, **config: str) -> None:
    """Create a topic; a setting's dots are underscores here."""
    settings = {name.replace("_", "."): value for name, value in config.items()}
    Admin(Connection(bootstrap_servers)).create([TopicSettings(topic, partitions, config=settings)])


def alter(bootstrap_servers: str, topic: str, **config: str) -> None:
    """Change settings of a topic, and return when the broker shows them."""
    settings = {name.replace("_", "."): value for name, value in config.items()}
    admin: Any = AdminClient({"bootstrap.servers": bootstrap_servers})
    entries = [ConfigEntry(n, v, incremental_operation=AlterConfigOpType.SET) for n, v in settings.items()]
    (future,) = admin.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)]
    ).values()
    future.result()
    ours = Admin(Connection(bootstrap_servers))
    until(lambda: settings.items() <= ours.topic_config([topic])[topic].items())


def publish(bootstrap_servers: str, topic: str, rows: Iterable[Row]) -> None:
    """Publish rows, each in a request of its own partition's order."""
    failed: list[Any] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "on_delivery": lambda error, _: failed.append(error) if error else None,
        }
    )
    for row in rows:
        producer.produce(topic, row.value, row.key, row.partition, timestamp=row.timestamp_ms)
    assert producer.flush(60) == 0
    assert not failed
