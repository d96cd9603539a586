"""Faults of the cluster and of the ways to it, rather than of a worker."""

from __future__ import annotations

from random import Random
from typing import Final

from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import Trouble
from penstock.testing.cluster.worker import SimulatedWorker
from penstock.testing.simulation.scenario import Fault
from penstock.testing.simulation.shape import IN, PIPELINE

_LAG_S: Final = 5.0
"""So long a connection is slow."""


def disturb(cluster: SimulatedCluster, worker: SimulatedWorker, fault: Fault, chance: Random) -> None:
    """Let it happen.

    Args:
        cluster: where.
        worker: whose step it is; requests and connections are its.
        fault: what.
        chance: says which broker.
    """
    match fault.action:
        case "fence":
            _usurp(cluster, worker)
        case "rebalance":
            cluster.rebalance(PIPELINE)
        case "broker stop":
            cluster.stop_broker(chance.choice(cluster.brokers.ids), fault.seconds)
        case "lag":
            until_s = cluster.clock.monotonic_s() + _LAG_S
            worker.process.lags[chance.choice(cluster.brokers.ids)] = fault.seconds, until_s
        case "expire":
            _expire(cluster)
        case "kill" | "lose" | "stop" | "raise" | "abort" | "doubt" | "pause" | "freeze" | "overtake":
            raise ValueError(f"'{fault.action}' happens to a worker, not to a cluster; please report")
        case mishap:
            nth = worker.process.requests[fault.request] + 1
            worker.process.troubles[fault.request, nth] = Trouble(mishap, fault.seconds)


def _usurp(cluster: SimulatedCluster, worker: SimulatedWorker) -> None:
    """A process comes that has the worker's name: its `transactional.id`, its place in the group if it is static."""
    process = cluster.process("twin")
    twin = SimulatedClients(cluster, process)
    twin.producer(worker.name, 60_000, max_batch_bytes=1_000_000).init_transactions(30.0)
    place = cluster.groups.group(PIPELINE).instance(worker.name)
    if place is not None:
        cluster.groups.enter(
            PIPELINE,
            worker.name,
            process,
            place.topics,
            is_eager=place.is_eager,
            timeout_s=place.session_timeout_s,
            instance_id=place.instance_id,
        )
        cluster.kill(process)  # or nobody would ever have that place again


def _expire(cluster: SimulatedCluster) -> None:
    places = [(IN, number) for number in range(len(cluster.topics[IN].partitions))]
    dealt_with = cluster.groups.group(PIPELINE).offsets.fetch(places, is_stable=False)
    for place, committed in dealt_with.items():
        cluster.partition(place).delete_before(committed.next_offset)
