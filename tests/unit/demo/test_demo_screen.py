"""What a person reads at the end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from demo.broker_faults import BrokerFault
from demo.fold import Fold
from demo.process import PipelineKill
from demo.publish import Kill
from demo.redrive import Redrive
from demo.report import Report, report_of
from demo.screen import Screen
from demo.verdict import DataSet

KILL = Kill(after_s=1.5, uncommitted=20, last_stable_offsets={0: 100}, committed=96)
GOOD = DataSet(rows=1_005, records=1_000, dead_letters=5, keys=40)
BACK = Redrive(letters=7, redriven=7, kills=1, turned_away=3)
FOLDED = Fold(partitions=8, transactions=200, commits=1_100, records=1_000, changes=900)


def report(
    data_sets: dict[str, DataSet],
    folds: dict[str, Fold] | None = None,
    kills: int = 10,
    inside: int = 3,
    faults: Sequence[BrokerFault] | None = None,
    redrive: Redrive = BACK,
) -> Report:
    workers = [
        PipelineKill(
            pipeline="p",
            slot=n % 3,
            workers=2,
            after_s=n,
            committed=n,
            recovery_s=float(n),
            life=(1, n),
            aborted=int(n <= inside),
        )
        for n in range(1, kills)
    ]
    return report_of(
        data_sets,
        {"p": FOLDED} if folds is None else folds,
        redrive,
        [KILL],
        workers,
        list(faults or ()),
        nodes=1 if faults is None else 3,
        aborted=20,
        aborted_output=7,
        wall_s=31.4,
        seed=1,
    )


def test_a_good_verdict_says_so_with_all_figures(capsys: pytest.CaptureFixture[str]) -> None:
    made = report({"flights": GOOD, "flight-status": DataSet(rows=7, records=7, dead_letters=0, keys=2)})
    assert (made.ok, made.kills, made.kills_inside, made.recovery_s_p50, made.recovery_s_max) == (True, 11, 3, 5.0, 9.0)
    assert (made.input_records, made.output_records, made.dead_letters) == (1_000, 7, 5)
    Screen().verdict(made)
    told = " ".join(capsys.readouterr().out.split())
    assert "flights 1,005 1,000 5 0 0 0" in told
    assert "order 42 times" in told
    assert "state 1,100 commits" in told
    assert "atomic 200 transactions" in told
    assert (made.redriven, made.redrive_lost, made.redrive_duplicated) == (7, 0, 0)
    assert "redrive 7 of 7 dead letters came back when their cause was mended; lost 0, duplicated 0" in told
    assert "outage 3 questions while the directory was away" in told
    assert "kills 1 of a producer, 9 of workers, 3 inside a transaction; 1 of the redrive" in told
    assert "aborted 27 records" in told
    assert "recovery 5.0 s (median), 9.0 s (longest)" in told
    assert "PASS" in told
    assert "FAIL" not in told


KILLED = BrokerFault(node=2, kind="killed", role="coordinator of a group", after_s=1.0, lasted_s=2.0)
PAUSED = BrokerFault(node=3, kind="paused", role="leader of an output", after_s=9.0, lasted_s=8.0)


def test_three_brokers_of_which_none_was_killed_or_none_paused_prove_too_little(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not report({"flights": GOOD}, faults=[]).ok
    assert not report({"flights": GOOD}, faults=[KILLED]).ok
    assert not report({"flights": GOOD}, faults=[PAUSED]).ok
    Screen().verdict(made := report({"flights": GOOD}, faults=[KILLED, PAUSED, PAUSED]))
    assert made.ok
    assert "brokers 3, of which 1 times one was killed, and 2 times paused" in " ".join(capsys.readouterr().out.split())


def test_a_bad_verdict_names_the_problems(capsys: pytest.CaptureFixture[str]) -> None:
    """One bad data set is enough, and markup in a problem is text."""
    bad = DataSet(rows=2, records=2, dead_letters=0, duplicates=1, missing=1, problems=["flights[3]@7: a duplicate"])
    made = report({"airlines": DataSet(rows=1, records=1, dead_letters=0), "flights": bad})
    assert (made.ok, made.lost, made.duplicated, made.wrong) == (False, 1, 1, 0)
    Screen().verdict(made)
    told = capsys.readouterr().out
    assert "flights: flights[3]@7: a duplicate" in told
    assert "FAIL" in told
    assert "PASS" not in told


@pytest.mark.parametrize(
    "folds",
    [
        {},
        {"p": Fold()},
        {"p": FOLDED, "q": Fold(partitions=8, transactions=9, commits=9, records=9, wrong=1, problems=["q[1]"])},
    ],
)
def test_commits_that_are_off_or_were_not_compared_are_a_failed_verdict(
    folds: dict[str, Fold], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every row may be there once in the end, and a reader was shown half of a transaction on the way."""
    made = report({"flights": GOOD}, folds)
    assert not made.ok
    assert made.wrong == sum(each.wrong for each in folds.values())
    Screen().verdict(made)
    told = capsys.readouterr().out
    assert "the pipelines' commits are not those of one run over their input" in told
    assert ("q: q[1]" in told) == ("q" in folds)
    assert "PASS" not in told


@pytest.mark.parametrize(
    ("redrive", "why"),
    [
        (
            Redrive(letters=7, redriven=6, lost=1, kills=1, turned_away=3),
            "not every dead letter came back exactly once",
        ),
        (Redrive(letters=7, redriven=8, duplicated=1, kills=1, turned_away=3), "came back exactly once"),
        (Redrive(letters=7, redriven=7, wrong=1, kills=1, turned_away=3), "came back exactly once"),
        (Redrive(letters=7, redriven=8, kills=1, turned_away=3), "came back exactly once"),
        (Redrive(letters=0, kills=1, turned_away=3), "there was no dead letter to bring back"),
        (Redrive(letters=7, redriven=7, turned_away=3), "the redrive was not killed"),
        (Redrive(letters=7, redriven=7, kills=1), "nobody asked the directory of airlines while it was away"),
    ],
)
def test_a_redrive_that_lost_or_doubled_or_proved_nothing_is_a_failed_verdict(redrive: Redrive, why: str) -> None:
    made = report({"flights": GOOD}, redrive=redrive)
    assert not made.ok
    assert [why in each for each in made.failures()] == [True]


@pytest.mark.parametrize(("kills", "inside"), [(8, 3), (10, 2), (10, 0)])
def test_too_few_kills_are_a_failed_verdict(capsys: pytest.CaptureFixture[str], kills: int, inside: int) -> None:
    """A demo that hardly killed anything has shown nothing."""
    made = report({"flights": GOOD}, kills=kills, inside=inside)
    assert not made.ok
    Screen().verdict(made)
    told = capsys.readouterr().out
    assert "FAIL" in told
    assert "prove too little" in told


def test_rows_that_are_nowhere_counted_fail() -> None:
    """Even if no comparison found anything."""
    assert not DataSet(rows=3, records=2, dead_letters=0).ok


def test_brackets_in_a_line_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().say("task flights[2] of [bold]p")
    assert capsys.readouterr().out.endswith("s  task flights[2] of [bold]p\n")


def test_reading_off_a_terminal_is_silent_for_the_first_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen().reading(10) as tell:
        tell(5)
    assert capsys.readouterr().out == ""
