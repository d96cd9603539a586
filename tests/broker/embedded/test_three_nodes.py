"""A cluster of three, and what it does when one is in trouble."""

from __future__ import annotations

import time

import pytest

from penstock.embedded import KafkaCluster
from penstock.errors import KafkaUnavailable
from penstock.kafka.readiness import ReadinessProbe

pytestmark = pytest.mark.broker


def until_live(probe: ReadinessProbe, *node_ids: int) -> None:
    """Wait until these brokers count as live, and no other; a new controller, and giving a broker up, take seconds."""
    deadline = time.monotonic() + 180
    while probe.nodes(timeout_s=1) != frozenset(node_ids):
        assert time.monotonic() < deadline


def test_a_cluster_of_three_serves_without_any_one_of_them_and_takes_it_back() -> None:
    with KafkaCluster(3) as cluster:
        assert len(cluster.bootstrap_servers.split(",")) == 3
        probe = ReadinessProbe(cluster.bootstrap_servers)
        broker = cluster.brokers[1]

        broker.kill()
        assert (broker.is_alive, broker.pid) == (False, None)
        until_live(probe, 1, 3)
        probe.require_transactions(timeout_s=60)

        broker.restart()
        assert broker.is_alive
        until_live(probe, 1, 2, 3)
        assert cluster.log_directory(2).is_dir()


@pytest.mark.full
def test_a_stopped_broker_is_given_up_and_comes_back() -> None:
    with KafkaCluster(3) as cluster:
        probe = ReadinessProbe(cluster.bootstrap_servers)
        broker = cluster.brokers[0]

        broker.stop()
        until_live(probe, 2, 3)
        assert broker.is_alive
        probe.require_transactions(timeout_s=60)
        broker.cont()
        until_live(probe, 1, 2, 3)

        pid = broker.pid
        broker.restart()
        assert broker.pid not in {None, pid}
        until_live(probe, 1, 2, 3)


@pytest.mark.full
def test_without_a_majority_nothing_is_acknowledged() -> None:
    """The counter-proof: the replication that the other tests rely on is real."""
    with KafkaCluster(3) as cluster:
        cluster.brokers[0].kill()
        cluster.brokers[1].kill()

        with pytest.raises(KafkaUnavailable):
            ReadinessProbe(cluster.bootstrap_servers).require_transactions(timeout_s=15)

        cluster.brokers[0].restart()
        ReadinessProbe(cluster.bootstrap_servers).require_transactions(timeout_s=60)
