"""Random pipelines under random faults: nothing is wrong with the engine, and what is wrong with a broken one shows."""

from __future__ import annotations

from collections import Counter

import pytest

from penstock.testing.simulation.hunt import hunted
from penstock.testing.simulation.mutants import MUTANTS
from penstock.testing.simulation.report import table_of
from penstock.testing.simulation.scenario import Fault, Scenario, scenario_of
from penstock.testing.simulation.shape import Operation, Shape
from penstock.testing.simulation.shrink import as_test, shrunk
from penstock.testing.simulation.world import play

PLACES = {mutant.name: place for place, mutant in enumerate(MUTANTS)}


@pytest.mark.parametrize("tens", range(6))
def test_ten_seeds_leave_what_a_fold_of_their_input_gives(tens: int) -> None:
    """`make simulate` plays more of them."""
    for seed in range(tens * 10, tens * 10 + 10):
        assert play(scenario_of(seed)).verdicts == [], seed


def test_a_scenario_takes_the_same_course_every_time() -> None:
    first, second = play(scenario_of(3)), play(scenario_of(3))
    assert first.seconds == second.seconds
    assert {n: [p.entries for p in t.partitions] for n, t in first.cluster.topics.items()} == {
        n: [p.entries for p in t.partitions] for n, t in second.cluster.topics.items()
    }


@pytest.mark.parametrize(
    "name",
    [
        "no offsets in the transaction",
        "the offset of the last record instead of the next one",
        "an unknown commit is taken for aborted",
        "state is not rolled back",
        "dead letters beside the transaction",
    ],
)
def test_an_engine_that_is_broken_is_found(name: str) -> None:
    """`make mutants` does so for all of them."""
    assert hunted(PLACES[name], 100).verdict is not None


def test_a_scenario_that_fails_is_made_smaller_and_printed_as_a_test() -> None:
    mutant = MUTANTS[PLACES["the offset of the last record instead of the next one"]]

    def fails(scenario: Scenario) -> bool:
        with mutant.applied():
            return any(verdict.name == "duplicate" for verdict in play(scenario).verdicts)

    seed = next(seed for seed in range(100) if fails(scenario_of(seed)))
    small = shrunk(scenario_of(seed), fails, most_tries=40)
    assert fails(small)
    assert small.records < scenario_of(seed).records
    names = {"Scenario": Scenario, "Shape": Shape, "Operation": Operation, "Fault": Fault, "play": play}
    exec(compile(as_test(small), "pasted", "exec"), names)  # noqa: S102 - it is to be pasted
    names[f"test_seed_{seed}"]()  # type: ignore[operator]


def test_the_table_shows_where_each_fault_took_place() -> None:
    lines = list(table_of(Counter({("kill", "commit"): 12, ("slow", "end"): 3})))
    assert lines == ["        kill  slow", "commit    12     .", "end        .     3"]
