"""A request of a fenced producer that arrives late is refused by the partition, whatever is open there."""

from __future__ import annotations

import pytest

from penstock.testing.cluster.partition import SimulatedPartition
from penstock.testing.simulation.scenario import Fault, Scenario
from penstock.testing.simulation.shape import Shape
from penstock.testing.simulation.world import play

OLD, NEW = 0, 2


@pytest.mark.parametrize("is_open", [True, False])
def test_whoever_comes_behind_its_successor_is_fenced_and_strangers_are_not(*, is_open: bool) -> None:
    log = SimulatedPartition()
    log.append(b"k", b"v", 1, producer_id=7, epoch=OLD)
    log.mark(7, OLD + 1, 2, commit=False)
    assert log.is_fenced(7, OLD)
    log.append(b"k", b"v", 3, producer_id=7, epoch=NEW)
    if not is_open:
        log.mark(7, NEW, 4, commit=True)
    assert log.is_fenced(7, OLD)
    assert not log.is_fenced(7, NEW)
    assert not log.is_fenced(8, OLD)


def test_a_request_that_outlives_its_sender_finds_the_transaction_of_its_successor_open() -> None:
    """A static worker is started again at once, so that its successor is at work before the request arrives."""
    scenario = Scenario(
        seed=1130,
        shape=Shape(partitions=1, before=(), writes_plain=True, keys=0, tasks=1, after=(), retry="key"),
        records=80,
        keys=1,
        workers=2,
        faults=(Fault(worker=1, step="produce", nth=7, action="die meanwhile", seconds=2.2, request="produce"),),
        max_batch_records=1,
        is_static=True,
    )
    assert play(scenario).findings == []
