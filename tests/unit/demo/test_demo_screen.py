"""What a person reads at the end."""

from __future__ import annotations

import pytest

from demo.pipelines import PipelineKill
from demo.publish import Kill
from demo.report import Report, report_of
from demo.screen import Screen
from demo.verdict import DataSet

KILL = Kill(after_s=1.5, uncommitted=20, last_stable_offsets={0: 100}, committed=96)


def report(
    inputs: dict[str, DataSet], outputs: dict[str, DataSet] | None = None, kills: int = 10, inside: int = 3
) -> Report:
    workers = [PipelineKill(pipeline="p", after_s=n, committed=n, recovery_s=float(n)) for n in range(1, kills)]
    return report_of(
        inputs,
        outputs or {},
        [KILL],
        workers,
        aborted=20,
        aborted_output=7,
        kills_inside=inside,
        wall_s=31.4,
        seed=1,
    )


def test_a_good_verdict_says_so_with_all_figures(capsys: pytest.CaptureFixture[str]) -> None:
    good = DataSet(rows=1_005, records=1_000, dead_letters=5)
    made = report({"flights": good}, {"results": DataSet(rows=7, records=7, dead_letters=0)})
    assert (made.ok, made.kills, made.recovery_s_p50, made.recovery_s_max) == (True, 10, 5.0, 9.0)
    assert (made.input_records, made.output_records, made.dead_letters) == (1_000, 7, 5)
    Screen().verdict(made)
    told = capsys.readouterr().out
    assert "kill 1: 1.5 s after the first start, 96 records committed, 20 more in the transaction that died" in told
    assert "p, 9 kills: 1.0, 2.0" in told
    assert "27 records of aborted transactions" in told
    assert "5.0 s (median), 9.0 s (longest)" in told
    assert "flights     1,005    1,000             5           0        0      0" in told
    assert "PASS" in told
    assert "FAIL" not in told


def test_a_bad_verdict_names_the_problems(capsys: pytest.CaptureFixture[str]) -> None:
    """One bad data set is enough, and markup in a problem is text."""
    bad = DataSet(rows=2, records=2, dead_letters=0, duplicates=1, missing=1, problems=["flights[3]@7: a duplicate"])
    good = DataSet(rows=1, records=1, dead_letters=0)
    made = report({"airlines": good, "flights": bad})
    assert (made.ok, made.lost, made.duplicated, made.wrong) == (False, 1, 1, 0)
    Screen().verdict(made)
    told = capsys.readouterr().out
    assert "flights: flights[3]@7: a duplicate" in told
    assert "FAIL" in told
    assert "PASS" not in told


@pytest.mark.parametrize(("kills", "inside"), [(9, 3), (10, 2)])
def test_too_few_kills_are_a_failed_verdict(capsys: pytest.CaptureFixture[str], kills: int, inside: int) -> None:
    """A demo that hardly killed anything has shown nothing."""
    made = report({"flights": DataSet(rows=1, records=1, dead_letters=0)}, kills=kills, inside=inside)
    assert not made.ok
    Screen().verdict(made)
    assert "prove too little" in capsys.readouterr().out


def test_rows_that_are_nowhere_counted_fail() -> None:
    """Even if no comparison found anything."""
    assert not DataSet(rows=3, records=2, dead_letters=0).ok


def test_progress_off_a_terminal_is_silent_for_the_first_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen().progress({"flights": 10}) as reached:
        reached["flights"](5)
    assert capsys.readouterr().out == ""
