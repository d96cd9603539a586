"""A bad network does to the simulated cluster what it does to a broker: `tests/broker/testing/test_mishaps.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import Process, Trouble
from tests.contract.mishaps import EXPECTED, SCENARIOS, Mishap, Request

LATE_S = 10.0


@dataclass
class Simulated:
    """A stage in memory, with one process."""

    cluster: SimulatedCluster
    name: str = "contract"
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.process = self.cluster.process(self.name)

    def clients(self) -> SimulatedClients:
        return SimulatedClients(self.cluster, self.process)

    def pause(self, seconds: float) -> None:
        self.cluster.clock.sleep(seconds)

    def plan(self, request: Request, mishap: Mishap) -> Callable[[], None]:
        self.process.troubles[request, self.process.requests[request] + 1] = Trouble(mishap, LATE_S)
        return lambda: self.pause(LATE_S)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_answers_as_kafka_behind_a_bad_network_does(name: str, seed: int) -> None:
    stage = Simulated(SimulatedCluster(seed))
    assert SCENARIOS[name](stage) == EXPECTED[name]
    assert not stage.process.troubles
