"""Administrative calls on a simulated cluster: topics, settings, ends, deleting from the front."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from penstock.kafka.admin import BrokerDescription, ClusterDescription, TopicDescription, TopicSettings
from penstock.kafka.error_map import by_name, from_call
from penstock.kafka.reader import Isolation
from penstock.testing.cluster.cluster import SimulatedCluster, SimulatedTopic
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.refusal import Refusal

Partition = tuple[str, int]


class SimulatedAdmin:
    """`runtime.clients.TopicAdmin`.

    Args:
        cluster: where.
        process: whose.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process

    def cluster(self) -> ClusterDescription:
        """One broker."""
        self._process.check()
        return ClusterDescription("simulated", 1, (BrokerDescription(1, "simulated", 9092),))

    def topics(self) -> dict[str, TopicDescription]:
        """{name: topic}."""
        self._process.check()
        return {
            name: TopicDescription(name, len(topic.partitions), 1)
            for name, topic in sorted(self._cluster.topics.items())
        }

    def create(self, topics: Iterable[TopicSettings]) -> list[str]:
        """Create the topics that are not there yet; returns the names created."""
        self._process.check()
        missing = [topic for topic in topics if topic.name not in self._cluster.topics]
        for topic in missing:
            self._cluster.create(topic.name, topic.partitions, topic.config)
        return [topic.name for topic in missing]

    def described(self, names: Collection[str]) -> dict[str, TopicDescription]:
        """These topics, which exist."""
        there = self.topics()
        return {name: there[name] for name in names}

    def topic_config(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """{topic: {setting: value}}, defaults included."""
        return {name: dict(self._found(name).config) for name in names}

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """{topic: its id}."""
        return {name: self._found(name).id for name in names}

    def broker_config(self, broker: int) -> dict[str, str]:
        """Nothing that the engine asks for."""
        del broker
        self._process.check()
        return {}

    def end_offsets(
        self, partitions: Iterable[Partition], isolation: Isolation = "read_uncommitted"
    ) -> dict[Partition, int]:
        """{partition: end}."""
        self._process.check()
        try:
            return {place: self._cluster.partition(place).end(isolation) for place in partitions}
        except Refusal as refusal:
            raise from_call(by_name(refusal.code), "list_offsets") from refusal

    def _found(self, name: str) -> SimulatedTopic:
        self._process.check()
        if name not in self._cluster.topics:
            raise from_call(by_name("UNKNOWN_TOPIC_OR_PART"), f"describe topic '{name}'")
        return self._cluster.topics[name]


class Deleted:
    """A deletion that is done."""

    def __init__(self, partitions: Iterable[Partition]) -> None:
        self._partitions = list(partitions)

    def outcome(self) -> dict[Partition, str | None]:
        """Nothing went wrong."""
        return dict.fromkeys(self._partitions)


class SimulatedRecordDeleter:
    """`runtime.purge.Deleter`.

    Args:
        cluster: where.
        process: whose.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process

    def delete(self, before: Mapping[Partition, int]) -> Deleted:
        """Delete everything below these offsets."""
        self._process.check()
        for place, offset in before.items():
            self._cluster.partition(place).delete_before(offset)
        return Deleted(before)
