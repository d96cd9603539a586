"""The name of a place, drawn once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError
from penstock.transactions import instance
from penstock.transactions.instance import kept_instance

ASK = """
import sys
from pathlib import Path
from penstock.transactions.instance import kept_instance
sys.stdin.readline()
print(kept_instance(Path(sys.argv[1])))
"""


def test_it_is_drawn_once_and_stays(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    name = kept_instance(here)
    assert kept_instance(here) == name
    assert (here / "instance").read_text() == f"{name}\n"
    assert kept_instance(there) != name, "another place has another name"
    assert [file.name for file in here.iterdir()] == ["instance"]


def test_all_who_ask_at_once_are_told_the_same(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert len(told) == 1
    assert told != {""}


def test_who_is_slower_takes_the_name_that_is_there(tmp_path: Path) -> None:
    """Both saw none and drew one; the first to write wins, also for the other."""
    name = kept_instance(tmp_path)
    instance._keep(tmp_path / "instance", "slower")
    assert kept_instance(tmp_path) == name
    assert [file.name for file in tmp_path.iterdir()] == ["instance"]


@pytest.mark.parametrize("text", ["", "a.b", "A", "-a", "a" * 64, "\xff"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "instance").write_text(text, "latin-1")
    with pytest.raises(ConfigurationError, match=r"processing\.instance"):
        kept_instance(tmp_path)


def test_a_name_that_somebody_wrote_by_hand_is_taken(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("rack-7")
    assert kept_instance(tmp_path) == "rack-7"
