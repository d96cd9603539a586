"""How far a topic or a group is, as the broker tells anybody who asks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # re-exported without __all__

QUIET = {"log_level": 2}
"""For our own clients: librdkafka tells of connections that come and go, in the middle of what a person reads."""

Partition = tuple[str, int]


class TopicWatch:
    """How far a topic has grown, as its readers see it."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, **QUIET})
        self._topic = topic

    def committed(self) -> dict[int, int]:
        """{partition: last stable offset}; empty while there is no such topic."""
        return self._ends(IsolationLevel.READ_COMMITTED)

    def written(self) -> dict[int, int]:
        """{partition: high watermark}; empty while there is no such topic."""
        return self._ends(IsolationLevel.READ_UNCOMMITTED)

    def _ends(self, isolation: IsolationLevel) -> dict[int, int]:
        topics = self._admin.list_topics(timeout=10).topics
        if self._topic not in topics:
            return {}
        spec: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(self._topic, number): spec for number in topics[self._topic].partitions}
        answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=10)
        try:
            return {place.partition: answer.result().offset for place, answer in answers.items()}
        except KafkaException:
            return {}  # a leader is not elected yet; the next look will see it


class GroupWatch:
    """The offsets that a group has committed in some topics."""

    def __init__(self, bootstrap_servers: str, group: str, topics: Collection[str]) -> None:
        self._admin: Any = AdminClient({"bootstrap.servers": bootstrap_servers, **QUIET})
        self._group, self._topics = group, topics

    def committed(self) -> dict[Partition, int]:
        """{(topic, partition): next offset}; those of a transaction that has not ended are not among them."""
        asked = [ConsumerGroupTopicPartitions(self._group)]
        found = self._admin.list_consumer_group_offsets(asked, request_timeout=10)[self._group].result()
        return {
            (place.topic, place.partition): place.offset
            for place in found.topic_partitions
            if place.offset >= 0 and place.topic in self._topics
        }
