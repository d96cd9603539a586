"""What is kept while a long topic is read, and what a person sees of it meanwhile."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from penstock.cli import redrive_display
from penstock.cli.dlq_reading import Newest
from penstock.cli.redrive_display import RedriveDisplay
from penstock.redrive.ledger import Ledger
from penstock.redrive.letters import DeadLetters
from tests.unit.redrive.letters import dead_letter

EXPORTING = """
from penstock.cli.output import print_json_line
from penstock.cli.reading_display import ReadingDisplay
with ReadingDisplay() as display:
    display.begin("dlq.p.in")
    display.advance(1, 2)
    print_json_line({"offset": 1})
"""


def test_of_each_partition_the_last_are_kept_and_of_them_those_that_are_meant() -> None:
    newest, ledger = Newest(3), Ledger("dlq.p.in", "id")
    ledger.mark(0, 6, "redriven")
    for offset in range(9):
        newest.take(dead_letter(offset, offset % 2), is_meant=offset != 4)
    found = list(newest.meant(ledger))
    assert [(letter.partition, letter.offset, fate) for letter, fate in found] == [
        (0, 6, "redriven"),
        (0, 8, "open"),
        (1, 3, "open"),
        (1, 5, "open"),
        (1, 7, "open"),
    ]
    assert {letter.value for letter, _ in found} == {None}, "all of them are in memory at once"


def test_what_is_printed_under_a_bar_goes_where_it_is_meant_to() -> None:
    """With the bar on a terminal, and the letters into a file or a pipe."""
    terminal, other_end = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", EXPORTING],
            stdout=subprocess.PIPE,
            stderr=other_end,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
            check=True,
        )
        os.close(other_end)
        shown = os.read(terminal, 65_536)
    finally:
        os.close(terminal)
    assert done.stdout == b'{"offset":1}\n'
    assert b"dlq.p.in" in shown, "there was a bar"


class Scanned:
    """A long topic of which nothing is meant."""

    total, done = 4_000, 0

    def read(self, starts: Mapping[int, int] | None = None) -> Iterator[list[Any]]:
        assert starts == {0: 5}
        for _ in range(4):
            self.done += 1_000
            yield []


def test_reading_that_finds_nothing_to_redrive_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(redrive_display, "LINE_EVERY_S", 0.0)
    with RedriveDisplay("redrive dlq.p.in", cast("DeadLetters", Scanned())) as display:
        assert len(list(display.followed({0: 5}))) == 4
    assert capsys.readouterr().err.splitlines() == [
        f"redrive dlq.p.in: 0 letters; {done:,} of 4,000 offsets read" for done in (1_000, 2_000, 3_000, 4_000)
    ]
