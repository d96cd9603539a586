"""The topic that dead letters go to."""

from __future__ import annotations

from typing import Final, NamedTuple

from penstock.kafka.admin import TopicSettings

ANY_TIME: Final = {
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
"""Topic settings that take records of any age: a dead letter keeps its original's timestamp."""


class DeadLetterTopic(NamedTuple):
    """Where the dead letters of a source go, as it is on the cluster.

    Attributes:
        name: of the topic.
        partitions: how many it has.
        max_record_bytes: what it takes at most.
        has_key_schemas: whether keys of the source carry the id of their schema.
        has_value_schemas: likewise values.
    """

    name: str
    partitions: int
    max_record_bytes: int
    has_key_schemas: bool = False
    has_value_schemas: bool = False

    def partition_of(self, source_partition: int) -> int:
        """That of the original; where its topic was given more partitions since, those of one stay together."""
        return source_partition % self.partitions


def dead_letter_topic(origin: str, partitions: int, prefix: str = "") -> TopicSettings:
    """`dlq.<origin>`: kept until somebody has dealt with what is in it.

    Args:
        origin: a producer's name, or `<pipeline>.<source topic>`.
        partitions: the source's, so that a dead letter stands in the partition of its original.
        prefix: of the project; empty or ending in a dot.
    """
    return TopicSettings(
        f"{prefix}dlq.{origin}",
        partitions=partitions,
        config={"cleanup.policy": "delete", "retention.ms": "-1", **ANY_TIME},
    )
