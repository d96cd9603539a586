"""Each invariant in the documentation names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "explanation" / "invariants.md"
ROWS = re.findall(r"^\| (?!invariant|-)(.+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)


def test_the_page_has_its_invariants() -> None:
    assert len(ROWS) > 20
    assert len({invariant for invariant, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("invariant", "guard"), ROWS, ids=[guard.strip("`").rpartition("::")[2] for _, guard in ROWS])
def test_an_invariant_is_one_sentence_with_a_test_that_is_there(invariant: str, guard: str) -> None:
    assert invariant[0].isupper()
    assert invariant.count(". ") == 0
    assert invariant.endswith(".")
    named = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", guard)
    assert named, guard
    tree = ast.parse((ROOT / "tests" / named[1]).read_text())
    assert named[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


PATHS = sorted(
    set(
        re.findall(
            r"`((?:kafka|runtime|schemas|operators|state|transactions)/\w*(?:\.py)?)`",
            (PAGE.parent / "how-a-record-travels.md").read_text(),
        )
    )
)


@pytest.mark.parametrize("path", PATHS)
def test_a_record_travels_through_files_that_are_there(path: str) -> None:
    assert (ROOT / "src" / "penstock" / path).exists()
