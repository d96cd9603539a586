"""The topics that are published to: made where they are missing, looked at where they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.errors import ConfigurationError
from penstock.kafka.admin import Admin, TopicDescription, TopicSettings
from penstock.publishing.spec import ProducerSpec
from penstock.schemas.topic import Topic

DEFAULT_PARTITIONS = 1
CLIENT_MAX_BYTES = 1_000_000
"""librdkafka's own `message.max.bytes`, which holds for a batch as well."""


@dataclass(frozen=True, slots=True)
class ProducerTopics:
    """What a producer found or made: partitions of its topic, and how large a record both topics take."""

    partitions: int
    max_record_bytes: int
    max_dead_letter_bytes: int


def ensure_topics(
    admin: Admin, spec: ProducerSpec[Any, Any], cursors: TopicSettings, dead: TopicSettings
) -> ProducerTopics:
    """Make what is missing, refuse what does not fit.

    Raises:
        ConfigurationError: the topic has another number of partitions than declared, or the cursor topic is not
            compacted.
        ServerUnreachable: Kafka does not answer.
    """
    topic = spec.topic
    admin.create([_settings(topic), cursors, dead])
    there = admin.topics()
    _require_partitions(topic, there[topic.name])
    if there[cursors.name].partitions != cursors.partitions:
        raise ConfigurationError(
            f"topic '{cursors.name}' has {there[cursors.name].partitions} partitions instead of {cursors.partitions}: "
            "it was not made by penstock; delete it if nothing needs it, or choose another project name"
        )
    config = admin.topic_config([topic.name, cursors.name, dead.name])
    if config[cursors.name].get("cleanup.policy") != "compact":
        raise ConfigurationError(
            f"topic '{cursors.name}' has cleanup.policy={config[cursors.name].get('cleanup.policy')}; it must be "
            "compact, or cursors are lost with time"
        )
    return ProducerTopics(there[topic.name].partitions, _max_bytes(config[topic.name]), _max_bytes(config[dead.name]))


def ensure_topic(admin: Admin, topic: Topic[Any, Any]) -> None:
    """Make the topic if it is missing, as it is declared; refuse one that is declared otherwise.

    Raises:
        ConfigurationError: it has another number of partitions, or there is no right to make it.
        ServerUnreachable: Kafka does not answer.
    """
    admin.create([_settings(topic)])
    _require_partitions(topic, admin.described([topic.name])[topic.name])


def _settings(topic: Topic[Any, Any]) -> TopicSettings:
    return TopicSettings(topic.name, topic.partitions or DEFAULT_PARTITIONS, config=topic.config)


def _require_partitions(topic: Topic[Any, Any], found: TopicDescription) -> None:
    if topic.partitions not in (None, found.partitions):
        raise ConfigurationError(
            f"topic '{topic.name}' has {found.partitions} partitions, its declaration says {topic.partitions}: keys "
            "would move between partitions; declare what is there, or use a new topic"
        )


def _max_bytes(config: dict[str, str]) -> int:
    return min(CLIENT_MAX_BYTES, int(config.get("max.message.bytes", CLIENT_MAX_BYTES)))
