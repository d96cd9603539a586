"""How far a topic or a group is, as the broker tells anybody who asks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # re-exported without __all__

QUIET = {"log_level": 2}
"""For our own clients: librdkafka tells of connections that come and go, in the middle of what a person reads."""

_ANSWER_S = 10.0

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
        try:
            topics = self._admin.list_topics(timeout=_ANSWER_S).topics
        except KafkaException:
            return {}  # as below
        if self._topic not in topics:
            return {}
        spec: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(self._topic, number): spec for number in topics[self._topic].partitions}
        answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=_ANSWER_S)
        try:
            return {place.partition: answer.result().offset for place, answer in answers.items()}
        except KafkaException:
            return {}  # a leader is not elected yet; the next look will see it


class Position(NamedTuple):
    """Where a group stands in one partition, and by which worker's commit (its `transactional.id`)."""

    offset: int
    writer: str


class GroupWatch:
    """The offsets that a group has committed in some topics.

    A consumer asks, which never joins: an admin client's question for the offsets ends the process by a segmentation
    fault when the coordinator has moved.
    """

    def __init__(self, bootstrap_servers: str, group: str, topics: Collection[str]) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, **QUIET})
        self._topics = topics
        self._partitions: list[Partition] = []

    def committed(self) -> dict[Partition, int]:
        """{(topic, partition): next offset}; those of a transaction that has not ended are not among them."""
        return {place: position.offset for place, position in self.positions().items()}

    def positions(self) -> dict[Partition, Position]:
        """{(topic, partition): position}; empty while a topic or the coordinator is not there."""
        try:
            self._find_partitions()
            asked = [TopicPartition(*place) for place in self._partitions]
            found = self._consumer.committed(asked, timeout=_ANSWER_S) if asked else []
        except KafkaException:
            return {}  # the coordinator is moving; the next look will see it
        if any(place.error is not None for place in found):
            return {}
        return {
            (place.topic, place.partition): Position(place.offset, _writer(place.metadata or ""))
            for place in found
            if place.offset >= 0
        }

    def _find_partitions(self) -> None:
        if {topic for topic, _ in self._partitions} == set(self._topics):
            return
        there = self._consumer.list_topics(timeout=_ANSWER_S).topics
        self._partitions = [(t, number) for t in self._topics if t in there for number in there[t].partitions]


def _writer(metadata: str) -> str:
    """The field `w` of `p1;s=7;w=flight-status.a.0;oe=2;...`."""
    return next((field.removeprefix("w=") for field in metadata.split(";") if field.startswith("w=")), "")
