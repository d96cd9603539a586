"""What the simulation has found in the engine, each as small as it was made; see docs/explanation/simulation.md."""

from __future__ import annotations

import pytest

from penstock.testing.simulation.scenario import Fault, Scenario
from penstock.testing.simulation.shape import Shape
from penstock.testing.simulation.world import play


def test_a_worker_that_stands_still_in_a_restore_does_not_call_the_commits_of_others_a_loss_of_data() -> None:
    """Its offsets were from before, the changelog from after: it stopped for good and wanted an operator."""
    scenario = Scenario(
        seed=611,
        shape=Shape(partitions=3, keys=2, tasks=3),
        records=189,
        keys=1,
        workers=2,
        faults=(Fault(worker=0, step="load checkpoint", nth=2, action="freeze", seconds=5.0),),
    )
    assert play(scenario).findings == []


@pytest.mark.parametrize(
    ("seed", "keys", "fault"),
    [
        (4, 5, Fault(0, "process", nth=4, action="overtake", seconds=5.0)),
        (85, 1, Fault(0, "apply", nth=4, action="freeze", seconds=5.0)),
    ],
)
def test_a_worker_that_wakes_up_does_not_call_what_its_successor_has_dealt_with_and_deleted_a_loss_of_data(
    seed: int, keys: int, fault: Fault
) -> None:
    """It was out of the group, and had not heard so: it stopped for good and wanted an operator."""
    shape = Shape(partitions=1, folds=False, keys=2, tasks=1)
    assert play(Scenario(seed, shape, keys=keys, faults=(fault,), max_batch_records=7)).findings == []
