"""A real broker answers what the simulated cluster was taught; where the two differ, the simulation is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from penstock.embedded import KafkaCluster
from penstock.kafka.client import Connection
from penstock.runtime.clients import KafkaClients
from penstock.testing.history.reading import java_hash
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.contract import compaction, epochs, positions, scenarios, static_members

pytestmark = pytest.mark.broker

COORDINATOR_PARTITIONS = 4
"""Of `__consumer_offsets` and `__transaction_state`, on an embedded broker."""
DOWN_S = 8.0
"""More than the brokers' session time-out, so that leadership moves."""


@dataclass(frozen=True)
class Real:
    """A stage on a broker; it cannot be told to wait for anything but by waiting."""

    bootstrap_servers: str
    name: str

    def clients(self) -> KafkaClients:
        return KafkaClients(Connection(self.bootstrap_servers))

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_a_broker_answers_what_is_written_down(name: str, kafka: KafkaUnderTest, topic_prefix: str) -> None:
    assert scenarios.SCENARIOS[name](Real(kafka.bootstrap_servers, topic_prefix)) == scenarios.EXPECTED[name]


@pytest.mark.parametrize(
    "name",
    [name if name == "refused_epochs" else pytest.param(name, marks=pytest.mark.full) for name in epochs.SCENARIOS],
)
def test_and_by_the_newer_group_protocol(name: str, kafka: KafkaUnderTest, topic_prefix: str) -> None:
    assert epochs.SCENARIOS[name](Real(kafka.bootstrap_servers, topic_prefix)) == epochs.EXPECTED[name]


@pytest.mark.full
@pytest.mark.parametrize("name", static_members.SCENARIOS)
def test_static_members_have_their_places(name: str, kafka: KafkaUnderTest, topic_prefix: str) -> None:
    stage = Real(kafka.bootstrap_servers, topic_prefix)
    assert static_members.SCENARIOS[name](stage) == static_members.EXPECTED[name]


@pytest.mark.full
def test_what_is_too_old_goes() -> None:
    with KafkaCluster(settings={"log.retention.check.interval.ms": 300}) as cluster:
        assert positions.expired(Real(cluster.bootstrap_servers, "expired")) == positions.EXPIRED


@dataclass(frozen=True)
class Cleaned(Real):
    """A stage on a broker whose cleaner looks again and again."""

    def clean(self, active_records: int) -> None:
        """It will."""


@pytest.mark.full
def test_what_a_cleaner_leaves() -> None:
    with KafkaCluster(settings={"log.cleaner.backoff.ms": 300}) as cluster:
        assert compaction.compacted(Cleaned(cluster.bootstrap_servers, "cleaned")) == compaction.COMPACTED


@dataclass(frozen=True)
class RealThree(Real):
    """A stage on three brokers."""

    cluster: KafkaCluster
    restarts: list[threading.Timer] = field(default_factory=list[threading.Timer])

    def stop_leader(self, of: tuple[str, int] | str, seconds: float) -> None:
        """Longer than it is asked to: until somebody else leads."""
        del seconds
        self.all_are_back()
        broker = self.cluster.brokers[self._leader(of) - 1]
        broker.kill()
        self.restarts.append(threading.Timer(DOWN_S, broker.restart))
        self.restarts[-1].start()

    def all_are_back(self) -> None:
        for restart in self.restarts:
            restart.join()
        self.restarts.clear()
        until(
            lambda: all(len(p.isrs) == 3 for topic in self._topics().values() for p in topic.partitions.values()), 120
        )

    def _leader(self, of: tuple[str, int] | str) -> int:
        if isinstance(of, str):
            log = "__transaction_state" if of.endswith("-p") else "__consumer_offsets"
            of = log, java_hash(of) % COORDINATOR_PARTITIONS
        topic, number = of
        return int(self._topics()[topic].partitions[number].leader)

    def _topics(self) -> Any:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers}).list_topics(timeout=20).topics


@pytest.fixture
def three() -> Iterator[Callable[[str], RealThree]]:
    with KafkaCluster(3, settings={"min.insync.replicas": 2}) as cluster:
        stages: list[RealThree] = []

        def stage(name: str) -> RealThree:
            stages.append(RealThree(cluster.bootstrap_servers, name, cluster))
            return stages[-1]

        yield stage
        for each in stages:
            each.all_are_back()


@pytest.mark.full
@pytest.mark.timeout(600)
def test_leaders_and_coordinators_that_stop_cost_time(three: Callable[[str], RealThree]) -> None:
    assert positions.without_its_leader(three("stops")) == positions.WITHOUT_ITS_LEADER
