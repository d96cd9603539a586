"""A real broker behind a proxy answers what the simulated cluster was taught about a bad network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from penstock.kafka.client import Connection
from penstock.runtime.clients import KafkaClients
from penstock.testing.proxy import Api, KafkaProxy, Order
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.contract.mishaps import EXPECTED, SCENARIOS, Mishap, Request

pytestmark = pytest.mark.broker

APIS: Final[dict[Request, Api]] = {
    "init": Api.INIT_PRODUCER_ID,
    "add partitions": Api.ADD_PARTITIONS_TO_TXN,
    "produce": Api.PRODUCE,
    "add offsets": Api.ADD_OFFSETS_TO_TXN,
    "commit offsets": Api.TXN_OFFSET_COMMIT,
    "end": Api.END_TXN,
}


@dataclass(frozen=True)
class Real:
    """A stage on a broker behind a proxy."""

    proxy: KafkaProxy
    name: str
    planned: list[Order] = field(default_factory=list[Order])
    arrived: list[bytes] = field(default_factory=list[bytes])

    def clients(self) -> KafkaClients:
        return KafkaClients(Connection(self.proxy.bootstrap_servers))

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def plan(self, request: Request, mishap: Mishap) -> Callable[[], None]:
        api, client_id = APIS[request], f"{self.name}-p"
        if mishap == "late copy":
            held = self.proxy.hold(api, client_id=client_id)
            return lambda: self.arrived.append(held.release())
        order = self.proxy.drop if mishap == "lost request" else self.proxy.lose_answer
        self.planned.append(order(api, client_id=client_id))
        return lambda: None


HARMFUL: Final = {"late, in front: produce", "late, before the commit: commit offsets", "late, half written: end"}


@pytest.mark.parametrize(
    "name", [name if name in HARMFUL else pytest.param(name, marks=pytest.mark.full) for name in SCENARIOS]
)
def test_a_broker_behind_a_bad_network_answers_what_is_written_down(
    name: str, kafka: KafkaUnderTest, topic_prefix: str
) -> None:
    with KafkaProxy(kafka.bootstrap_servers) as proxy:
        stage = Real(proxy, topic_prefix)
        assert SCENARIOS[name](stage) == EXPECTED[name]
    assert all(order.is_met for order in stage.planned)
    assert len(stage.planned) + len(stage.arrived) == 1
