"""The topics a producer needs: made where they are missing, looked at where they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.errors import ConfigurationError
from penstock.kafka.admin import Admin, TopicSettings
from penstock.publishing.spec import ProducerSpec

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
    wanted = TopicSettings(topic.name, topic.partitions or DEFAULT_PARTITIONS, config=topic.config or {})
    admin.create([wanted, cursors, dead])
    there = admin.topics()
    partitions = there[topic.name].partitions
    if topic.partitions is not None and partitions != topic.partitions:
        raise ConfigurationError(
            f"topic '{topic.name}' has {partitions} partitions, its declaration says {topic.partitions}: keys would "
            "move between partitions; declare what is there, or use a new topic"
        )
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
    return ProducerTopics(partitions, _max_bytes(config[topic.name]), _max_bytes(config[dead.name]))


def _max_bytes(config: dict[str, str]) -> int:
    return min(CLIENT_MAX_BYTES, int(config.get("max.message.bytes", CLIENT_MAX_BYTES)))
