"""Random pipelines under random faults: nothing is wrong with the engine, and what is wrong with a broken one shows."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from penstock.testing.simulation.report import Tally, page, table_of
from penstock.testing.simulation.scenario import Action, Fault, Scenario, scenario_of
from penstock.testing.simulation.shape import Operation, Shape
from penstock.testing.simulation.shrink import as_test, shrunk
from penstock.testing.simulation.world import play
from penstock.testing.steps import RARE_STEPS, REQUESTS, STEPS
from tests.mutants.catalogue import mutants


@pytest.mark.parametrize("tens", range(6))
def test_ten_seeds_leave_what_a_fold_of_their_input_gives(tens: int) -> None:
    """`make simulate` plays more of them, and `make full` 200,000."""
    for seed in range(tens * 10, tens * 10 + 10):
        assert play(scenario_of(seed)).findings == [], seed


def test_among_these_seeds_are_all_policies_both_guarantees_and_both_group_protocols() -> None:
    scenarios = [scenario_of(seed) for seed in range(60)]
    assert {scenario.shape.retry for scenario in scenarios} == {"nobody", "partition", "key"}
    assert {scenario.guarantee for scenario in scenarios} == {"exactly_once", "at_least_once"}
    assert {scenario.protocol for scenario in scenarios} == {"classic", "consumer"}


def test_a_scenario_takes_the_same_course_every_time() -> None:
    first, second = play(scenario_of(3)), play(scenario_of(3))
    assert first.seconds == second.seconds
    assert {n: [p.entries for p in t.partitions] for n, t in first.cluster.topics.items()} == {
        n: [p.entries for p in t.partitions] for n, t in second.cluster.topics.items()
    }


def test_a_scenario_that_fails_is_made_smaller_and_printed_as_a_test() -> None:
    mutant = next(each for each in mutants() if each.name == "offset n")

    def fails(scenario: Scenario) -> bool:
        with mutant.planted():
            return any(finding.name == "duplicate" for finding in play(scenario).findings)

    seed = next(seed for seed in range(6, 100) if fails(scenario_of(seed)))  # those before take longer
    small = shrunk(scenario_of(seed), fails, most_tries=25)
    assert fails(small)
    assert small.records < scenario_of(seed).records
    names = {"Scenario": Scenario, "Shape": Shape, "Operation": Operation, "Fault": Fault, "play": play}
    exec(compile(as_test(small), "pasted", "exec"), names)  # noqa: S102 - it is to be pasted
    names[f"test_seed_{seed}"]()  # type: ignore[operator]


def test_the_table_shows_where_each_fault_took_place() -> None:
    lines = list(table_of(Counter({("kill", "commit"): 12, ("slow", "end"): 3})))
    assert lines == ["        kill  slow", "commit    12     .", "end        .     3"]


def test_the_page_has_a_column_for_each_fault_and_a_line_for_each_step_and_request() -> None:
    """`make simulate ARGS="--write docs/reference/simulated-faults.md"` writes it."""
    text = (Path(__file__).parents[3] / "docs" / "reference" / "simulated-faults.md").read_text()
    (head, *lines) = re.findall(r"```text\n(.*?)\n```", text, re.DOTALL)[0].splitlines()
    actions = {action for part in get_args(Action) for action in get_args(part) or (part,)}
    assert set(head.split("  ")) - {""} == {f"{action}" for action in actions}
    requests = {request for sent in REQUESTS.values() for request in sent}
    assert {line.partition("  ")[0] for line in lines} == {*STEPS, *RARE_STEPS, *requests}


def test_seeds_that_passed_are_written_as_that_page() -> None:
    text = page(Tally(2, Counter({("kill", "commit"): 12}), seconds=3_600), 40)
    assert "in 2 seeds of `make simulate`, from seed 40 on" in text
    assert "```text\n        kill\ncommit    12\n```" in text
