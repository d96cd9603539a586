"""A real broker answers what the simulated cluster was taught; where the two differ, the simulation is wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from penstock.kafka.client import Connection
from penstock.runtime.clients import KafkaClients
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.contract.scenarios import EXPECTED, SCENARIOS

pytestmark = pytest.mark.broker


@dataclass(frozen=True)
class Real:
    """A stage on a broker; it cannot be told to wait for anything but by waiting."""

    bootstrap_servers: str
    name: str

    def clients(self) -> KafkaClients:
        return KafkaClients(Connection(self.bootstrap_servers))

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_broker_answers_what_is_written_down(name: str, kafka: KafkaUnderTest, topic_prefix: str) -> None:
    assert SCENARIOS[name](Real(kafka.bootstrap_servers, topic_prefix)) == EXPECTED[name]
