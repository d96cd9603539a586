"""Broken engines are caught by what they leave in the logs, and the engine as it is passes the same runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.testing.history import behind, check
from tests.mutants.catalogue import mutants
from tests.mutants.mutant import Mutant, Needs
from tests.mutants.small_cluster import MODEL, Run

HERE = Needs.ABORT | Needs.DOUBT | Needs.LOST_COMMIT | Needs.TAKEOVER | Needs.BAD_RECORDS | Needs.STATE
ELSEWHERE = {
    "no offsets": "it has no transaction without offsets",
    "revoked without offsets": "likewise",
    "dead letter committed by itself": "likewise",
    "delivery errors ignored": "it refuses every call behind an error",
    "revoked partition processed": "it has one worker at a time",
    "claim skipped": "likewise",
    "suspended task believed": "likewise",
    "chain unchecked": "what it fetches follows what it fetched",
}
"""{mutant: what the small cluster lacks}, of those that need no more than is here, as it seems."""

RUNS = [
    Run(),
    Run(restarts=(6, 9)),
    Run(batch=20),
    Run(batch=1),
    *(Run({(call, n): "aborted"}, (25,)) for call in ("flush", "offsets", "commit") for n in (3, 5)),
    *(Run({("commit", n): "unknown, done"}, (25,)) for n in (3, 5)),
    *(Run({("commit", n): "unknown, lost"}, (25,)) for n in (3, 5)),
]


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_engine_as_it_is_passes(run: Run, tmp_path: Path) -> None:
    history = run.history(tmp_path)
    assert not check(history, MODEL)
    assert not behind(history, MODEL)


@pytest.mark.parametrize("mutant", [m for m in mutants() if not m.needs & ~HERE and m.name not in ELSEWHERE], ids=str)
def test_a_broken_engine_is_called_by_name(mutant: Mutant, tmp_path: Path) -> None:
    found: set[str] = set()
    for n, run in enumerate(RUNS):
        with mutant.planted():
            history = run.history(tmp_path / str(n))
        kinds = {verdict.kind for verdict in check(history, MODEL)}
        if kinds & mutant.verdicts:
            return
        found |= {kind.value for kind in kinds}
    raise AssertionError(f"{mutant} survives; verdicts of other names: {sorted(found)}")


def test_the_catalogue_has_no_two_of_one_name_and_each_expects_a_verdict() -> None:
    names = [mutant.name for mutant in mutants()]
    assert len(set(names)) == len(names) >= 25
    assert all(mutant.verdicts and mutant.breaks for mutant in mutants())


def test_a_mutant_is_gone_behind_its_block(tmp_path: Path) -> None:
    for mutant in mutants():
        with mutant.planted():
            pass
    assert not check(RUNS[0].history(tmp_path), MODEL)
