"""The input of a simulated pipeline: by producers with and without transactions, some of which are aborted."""

from __future__ import annotations

from random import Random

from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.simulation.scenario import Scenario
from penstock.testing.simulation.shape import IN


class Feed:
    """Writes records now and then.

    Args:
        cluster: where.
        scenario: how many, under how many keys.
        chance: decides.

    Attributes:
        left: how many are still to come; aborted ones do not count.
    """

    def __init__(self, cluster: SimulatedCluster, scenario: Scenario, chance: Random) -> None:
        self.left = scenario.records
        self._cluster = cluster
        self._keys = scenario.keys
        self._chance = chance
        self._named = 0

    def some(self) -> None:
        """Some records, or none this time."""
        if not self.left or self._chance.random() < 0.75:
            return
        chance = self._chance
        count = min(self.left, chance.randint(1, 14))
        style = chance.choice(("plain", "plain", "committed", "aborted"))
        if style == "plain":
            for _ in range(count):
                key, value = self._record()
                self._cluster.append(IN, key, value)
        else:
            self._transaction(count, is_committed=style == "committed")
        if style != "aborted":
            self.left -= count

    def _transaction(self, count: int, *, is_committed: bool) -> None:
        client = SimulatedClients(self._cluster, self._cluster.process("outside"))
        producer = client.producer("outside", 60_000, max_batch_bytes=1_000_000)
        producer.init_transactions(30.0)
        producer.begin_transaction()
        records = [self._record() for _ in range(count)]
        producer.produce(IN, [key for key, _ in records], [value for _, value in records])
        producer.flush(30.0)
        if is_committed:
            producer.commit_transaction(30.0)
        else:
            producer.close()
            client.producer("outside", 60_000, max_batch_bytes=1_000_000).init_transactions(30.0)

    def _record(self) -> tuple[bytes, bytes]:
        number = self._chance.randrange(1_000)
        key = f"{self._chance.randrange(self._keys)}".encode()
        if self._chance.random() < 0.02:
            return key, b"\xff"
        self._named += 1
        return key, f"{number}/{self._named}".encode()
