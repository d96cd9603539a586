"""An export that was cut short goes on behind what its file holds, and never leaves half a line in it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from penstock.cli.exported_lines import ExportedLines
from penstock.errors import UsageError

TOPIC = "dlq.p.in"


def letter(partition: int, offset: int, topic: str = TOPIC) -> dict[str, object]:
    return {"topic": topic, "partition": partition, "offset": offset, "value": f"{partition}-{offset}"}


def places(file: Path) -> list[tuple[int, int]]:
    return [(told["partition"], told["offset"]) for told in map(json.loads, file.read_text().splitlines())]


def test_a_new_file_begins_with_nothing_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    with ExportedLines(file, TOPIC) as lines:
        assert (lines.next_offsets, lines.count) == ({}, 0)
        lines.append(letter(0, 3))
    assert places(file) == [(0, 3)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("cut_bytes", range(60))
def test_wherever_it_was_cut_the_file_ends_as_if_it_had_not_been(tmp_path: Path, cut_bytes: int) -> None:
    file, order = tmp_path / "letters.jsonl", [(0, 3), (1, 0), (0, 7), (1, 5)]
    with ExportedLines(file, TOPIC) as lines:
        for place in order:
            lines.append(letter(*place))
    whole = file.read_bytes()
    cut = whole[: len(whole) - cut_bytes]
    file.write_bytes(cut)
    with ExportedLines(file, TOPIC) as lines:
        assert lines.count == cut.count(b"\n")
        assert file.read_bytes() == cut[: cut.rfind(b"\n") + 1], "should nothing follow"
        for partition, offset in order:
            if offset >= lines.next_offsets.get(partition, 0):
                lines.append(letter(partition, offset))
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (json.dumps(letter(0, 1, "dlq.other")) + "\n", "holds letters of 'dlq.other', not of 'dlq.p.in'"),
        ('{"something": "else"}\n', "line 1 is no exported letter"),
        ("a text\nof somebody's\n", "line 1 is no exported letter"),
        ('{"somebody": "else", "without": "an end of line"}', "line 1 is no exported letter"),
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, there: str, told: str) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text(there)
    with pytest.raises(UsageError, match=told):
        ExportedLines(file, TOPIC)
    assert file.read_text() == there


def test_where_no_file_can_be_made_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--output .*: No such file or directory"):
        ExportedLines(tmp_path / "no" / "such" / "folder", TOPIC)
