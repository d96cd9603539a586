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
        budget_s: so long it waits for brokers.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process, budget_s: float = 30.0) -> None:
        self._cluster = cluster
        self._process = process
        self._budget_s = budget_s

    def cluster(self) -> ClusterDescription:
        """The brokers that are up, the first of them the controller."""
        self._process.check()
        up = sorted(self._cluster.brokers.up)
        brokers = tuple(BrokerDescription(each, "simulated", 9091 + each) for each in up)
        return ClusterDescription("simulated", up[0] if up else -1, brokers)

    def topics(self) -> dict[str, TopicDescription]:
        """{name: topic}."""
        self._process.check()
        return {
            name: TopicDescription(name, len(topic.partitions), self._cluster.brokers.replicas)
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
        """{setting: value}, as far as the engine asks for them."""
        del broker
        self._process.check()
        session_ms = round(self._cluster.consumer_groups.session_timeout_s * 1000)
        return {"group.consumer.session.timeout.ms": f"{session_ms}"}

    def end_offsets(
        self, partitions: Iterable[Partition], isolation: Isolation = "read_uncommitted"
    ) -> dict[Partition, int]:
        """{partition: end}."""
        self._process.check()
        places, leads = list(partitions), self._cluster.brokers.leader
        if not self._cluster.clock.wait(self._budget_s, lambda: all(leads(place) is not None for place in places)):
            raise from_call(by_name("FENCED_LEADER_EPOCH"), "list_offsets")
        try:
            return {place: self._cluster.partition(place).end(isolation) for place in places}
        except Refusal as refusal:
            raise from_call(by_name(refusal.code), "list_offsets") from refusal

    def _found(self, name: str) -> SimulatedTopic:
        self._process.check()
        if name not in self._cluster.topics:
            raise from_call(by_name("UNKNOWN_TOPIC_OR_PART"), f"describe topic '{name}'")
        return self._cluster.topics[name]


class Deleted:
    """A deletion that is done, or was not possible."""

    def __init__(self, outcome: dict[Partition, str | None]) -> None:
        self._outcome = outcome

    def outcome(self) -> dict[Partition, str | None]:
        """{partition: what went wrong, None = nothing}."""
        return self._outcome


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
        outcome: dict[Partition, str | None] = {}
        for place, offset in before.items():
            if self._cluster.brokers.leader(place) is None:
                outcome[place] = "LEADER_NOT_AVAILABLE"
                continue
            self._cluster.partition(place).delete_before(offset)
            outcome[place] = None
        return Deleted(outcome)
