"""What stands on the screen when a producer has run."""

import pytest

from penstock.cli.publishing_display import PublishingDisplay


def last_line(capsys: pytest.CaptureFixture[str], *commits: tuple[int, int], behind: int = 0) -> str:
    display = PublishingDisplay("levels", "river-levels", total=None)
    with display:
        display.on_start(behind)
        for records, dead_letters in commits:
            display.on_commit(records, dead_letters)
    return capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_finds_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert last_line(capsys, behind=5) == "levels → river-levels: nothing published"


def test_one_is_not_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert last_line(capsys, (1, 1)).startswith("levels → river-levels: 1 record in 1 transaction, ")
    assert last_line(capsys, (1, 1)).endswith("/s, 1 dead letter")
    assert last_line(capsys, (1_000, 0), (500, 2)).startswith(
        "levels → river-levels: 1,500 records in 2 transactions, "
    )
    assert last_line(capsys, (1_000, 0), (500, 2)).endswith(" rows/s, 2 dead letters")


def test_rows_of_earlier_runs_are_told_first(capsys: pytest.CaptureFixture[str]) -> None:
    display = PublishingDisplay("levels", "river-levels", total=None)
    display.on_start(12_000)
    assert capsys.readouterr().err == "levels → river-levels: continuing behind row 12,000\n"
