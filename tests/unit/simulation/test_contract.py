"""The simulated cluster answers as real brokers do; `tests/broker/testing` asks those."""

from __future__ import annotations

import pytest

from penstock.testing.cluster.brokers import Seat
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from tests.contract import compaction, epochs, positions, scenarios, static_members

SEEDS = range(5)


class Simulated:
    """A stage in memory."""

    name = "contract"

    def __init__(self, seed: int, brokers: int = 1) -> None:
        self.cluster = SimulatedCluster(seed, brokers=brokers)

    def clients(self) -> SimulatedClients:
        return SimulatedClients(self.cluster, self.cluster.process("contract"))

    def pause(self, seconds: float) -> None:
        self.cluster.clock.sleep(seconds)

    def clean(self, active_records: int) -> None:
        self.cluster.cleaner.clean(lambda: active_records)

    def stop_leader(self, of: tuple[str, int] | str, seconds: float) -> None:
        seat: Seat = ("transactions" if of.endswith("-p") else "group", of) if isinstance(of, str) else of
        leader = self.cluster.brokers.leader(seat)
        assert leader is not None
        self.cluster.stop_broker(leader, seconds)
        assert self.cluster.brokers.leader(seat) is None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_it_answers_as_kafka_does(name: str, seed: int) -> None:
    assert scenarios.SCENARIOS[name](Simulated(seed)) == scenarios.EXPECTED[name]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", epochs.SCENARIOS)
def test_it_answers_as_kafka_does_by_the_newer_group_protocol(name: str, seed: int) -> None:
    assert epochs.SCENARIOS[name](Simulated(seed)) == epochs.EXPECTED[name]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_too_old_goes_as_with_kafka(seed: int) -> None:
    assert positions.expired(Simulated(seed)) == positions.EXPIRED


@pytest.mark.parametrize("seed", SEEDS)
def test_leaders_and_coordinators_that_stop_cost_time_as_with_kafka(seed: int) -> None:
    assert positions.without_its_leader(Simulated(seed, brokers=3)) == positions.WITHOUT_ITS_LEADER


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cleaner_leaves_what_it_leaves_with_kafka(seed: int) -> None:
    assert compaction.compacted(Simulated(seed)) == compaction.COMPACTED


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", static_members.SCENARIOS)
def test_static_members_have_their_places_as_with_kafka(name: str, seed: int) -> None:
    assert static_members.SCENARIOS[name](Simulated(seed)) == static_members.EXPECTED[name]
