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


def test_a_static_member_that_is_killed_while_it_gives_partitions_up_leaves_none_without_an_owner() -> None:
    """Cooperative members need a second rebalance, which only the dead one would have asked for: nobody had them."""
    scenario = Scenario(
        seed=4046,
        shape=Shape(partitions=3),
        records=2,
        keys=1,
        faults=(Fault(worker=1, step="commit", nth=2, action="kill"),),
        is_static=True,
    )
    assert play(scenario).findings == []


def test_what_is_compacted_away_in_front_of_a_worker_that_stands_still_in_a_restore_is_no_loss_of_data() -> None:
    """The task's next owner had written these keys anew, behind what was to be read: the digest differed."""
    scenario = Scenario(
        seed=9201,
        shape=Shape(partitions=1, writes_plain=True, folds=False, keys=5, tasks=2),
        keys=3,
        faults=(
            Fault(worker=1, step="claim", nth=6, action="overtake", seconds=9.0),
            Fault(worker=0, step="commit record", nth=7, action="overtake", seconds=9.0),
            Fault(worker=0, step="restore", nth=2, action="lose"),
            Fault(worker=1, step="committed", nth=3, action="lose"),
            Fault(worker=1, step="commit", nth=5, action="die behind", request="end"),
            Fault(worker=1, step="flush", nth=2, action="hang", seconds=4.5, request="add partitions"),
            Fault(worker=0, step="produce", nth=8, action="lost answer", request="add partitions"),
            Fault(worker=0, step="produce", nth=3, action="slow", seconds=1.0, request="produce"),
        ),
        max_batch_records=7,
    )
    assert play(scenario).findings == []


def test_a_worker_that_asked_before_a_rebalance_whose_a_task_is_does_not_go_on_by_the_answer_behind_it() -> None:
    """It stood still meanwhile; another one had the task, committed, and was gone again: two owners, and duplicates."""
    scenario = Scenario(
        seed=41864,
        shape=Shape(partitions=3, joins=True, writes_plain=True, folds=False, keys=5, tasks=1, retry="key"),
        records=191,
        keys=3,
        faults=(
            Fault(worker=1, step="changelog", nth=2, action="overtake", seconds=5.0),
            Fault(worker=0, step="accept", nth=7, action="overtake", seconds=5.0),
        ),
    )
    assert play(scenario).findings == []
