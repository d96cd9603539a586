"""The simulated cluster answers as a real broker does; `tests/broker/testing/test_contract.py` asks that one."""

from __future__ import annotations

import pytest

from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from tests.contract.scenarios import EXPECTED, SCENARIOS


class Simulated:
    """A stage in memory."""

    name = "contract"

    def __init__(self, seed: int) -> None:
        self.cluster = SimulatedCluster(seed)

    def clients(self) -> SimulatedClients:
        return SimulatedClients(self.cluster, self.cluster.process("contract"))

    def pause(self, seconds: float) -> None:
        self.cluster.clock.sleep(seconds)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_answers_as_kafka_does(name: str, seed: int) -> None:
    assert SCENARIOS[name](Simulated(seed)) == EXPECTED[name]
