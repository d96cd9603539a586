"""What a person reads at the end."""

from __future__ import annotations

import pytest

from demo.publish import Kill
from demo.screen import Screen
from demo.verdict import DataSet

KILL = Kill(after_s=1.5, uncommitted=20, last_stable_offsets={0: 100}, committed=96)


def test_a_good_verdict_says_so_with_all_figures(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().verdict({"flights": DataSet(rows=1_005, records=1_000, dead_letters=5)}, [KILL], 20, 31.4)
    told = capsys.readouterr().out
    assert "kill 1: 1.5 s after the first start, 96 records committed, 20 more in the transaction that died" in told
    assert "flights          1,005    1,000             5           0        0      0" in told
    assert "PASS" in told
    assert "FAIL" not in told


def test_a_bad_verdict_names_the_problems(capsys: pytest.CaptureFixture[str]) -> None:
    """One bad data set is enough, and markup in a problem is text."""
    bad = DataSet(rows=2, records=2, dead_letters=0, duplicates=1, missing=1, problems=["flights[3]@7: a duplicate"])
    good = DataSet(rows=1, records=1, dead_letters=0)
    Screen().verdict({"airlines": good, "flights": bad}, [], 0, 1.0)
    told = capsys.readouterr().out
    assert "flights: flights[3]@7: a duplicate" in told
    assert "FAIL" in told
    assert "PASS" not in told


def test_rows_that_are_nowhere_counted_fail() -> None:
    """Even if no comparison found anything."""
    assert not DataSet(rows=3, records=2, dead_letters=0).ok


def test_progress_off_a_terminal_is_silent_for_the_first_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen().progress("flights", 10) as reached:
        reached(5)
    assert capsys.readouterr().out == ""
