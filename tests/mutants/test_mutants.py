"""Broken engines are caught by what they leave in the logs, and the engine as it is passes the same runs."""

from __future__ import annotations

import pytest

from penstock.testing.history import Kind
from penstock.testing.simulation.finding import LEFT_BEHIND
from penstock.testing.simulation.scenario import scenario_of
from penstock.testing.simulation.world import play
from tests.mutants.catalogue import ABSENT, mutants
from tests.mutants.hunt import hunted
from tests.mutants.mutant import Mutant
from tests.mutants.page import PAGE, listed


@pytest.mark.parametrize(
    "name",
    [
        "offset n",
        "no offsets",
        "overlay kept on abort",
        "unknown taken for committed",
        "dead letters by another producer",
        "digest unchecked",
    ],
)
def test_a_broken_engine_is_called_by_name(name: str) -> None:
    """`make mutants` breaks it in all ways."""
    assert hunted(name, 100).verdict is not None


@pytest.mark.full
@pytest.mark.parametrize("mutant", mutants(), ids=str)
def test_each_broken_engine_is_called_by_name(mutant: Mutant) -> None:
    assert hunted(mutant.name, 1_000).verdict is not None


def test_the_engine_as_it_is_is_not_taken_for_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = next(each for each in mutants() if each.name == "offset n")
    whole = type(mutant)(mutant.name, mutant.breaks, mutant.verdicts, lambda _patches: None)
    monkeypatch.setattr("tests.mutants.hunt.mutants", lambda: [whole])
    assert hunted("offset n", 10).verdict is None


def test_the_catalogue_has_no_two_of_one_name_and_each_expects_a_verdict_of_the_history_checker() -> None:
    names = [mutant.name for mutant in mutants()]
    assert len(set(names)) == len(names) >= 25
    kinds = {kind.value for kind in Kind} | {LEFT_BEHIND}
    assert all(mutant.verdicts and mutant.verdicts <= kinds and mutant.breaks for mutant in mutants())
    assert not ABSENT.keys() & set(names)


def test_a_mutant_is_gone_behind_its_block() -> None:
    for mutant in mutants():
        with mutant.planted():
            pass
    assert play(scenario_of(0)).findings == []


def test_the_page_lists_the_mutants_that_there_are() -> None:
    """`make mutants ARGS=--write` writes it."""
    assert listed(PAGE.read_text()) == {mutant.name: mutant.breaks for mutant in mutants()}
