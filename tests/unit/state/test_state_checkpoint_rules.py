from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from penstock.state.checkpoint_file import Checkpoint, CheckpointFile
from penstock.state.checkpoint_rules import Expected, Rejected, load_checkpoint
from tests.unit.state import checkpoint_writing as writing
from tests.unit.state.checkpoint_writing import EXPECTED, write


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        (replace(EXPECTED, topology="other"), "topology"),
        (replace(EXPECTED, topic_ids={**writing.TOPIC_IDS, "flights": "C"}), "topics"),
        (replace(EXPECTED, topic_ids={"flights": "A"}), "topics"),
        (replace(EXPECTED, now_ms=6_001), "age"),
        (replace(EXPECTED, now_ms=999), "age"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_wiped_and_says_why(
    file: CheckpointFile, expected: Expected, reason: str
) -> None:
    write(file, 1, 2)
    found = load_checkpoint(file, expected)
    assert isinstance(found, Rejected)
    assert found.reason == reason
    assert not file.path.exists()


def test_a_checkpoint_that_fits_is_used_and_kept(file: CheckpointFile) -> None:
    entries = write(file, 1, 2)
    for now_ms in (1_000, 6_000):
        found = load_checkpoint(file, replace(EXPECTED, now_ms=now_ms))
        assert isinstance(found, Checkpoint)
        assert found.entries == entries


def test_content_that_does_not_give_its_digest_is_wiped(file: CheckpointFile) -> None:
    """The seals hold here: it was written wrongly, not damaged."""
    file.append(writing.header(1, {b"\x01a": b"1"}), {b"\x01a": b"2"})
    found = load_checkpoint(file, EXPECTED)
    assert isinstance(found, Rejected)
    assert found.reason == "digest"


@pytest.mark.parametrize("change", ["format", "shape"])
def test_a_header_of_another_release_is_wiped(file: CheckpointFile, change: str) -> None:
    header = writing.header(1, {})
    other: Any = msgspec.structs.replace(header, format=2) if change == "format" else {"format": 2}
    file.append(other, {})
    found = load_checkpoint(file, EXPECTED)
    assert isinstance(found, Rejected)
    assert found.reason == "format"


def test_the_first_start_has_none(file: CheckpointFile) -> None:
    assert load_checkpoint(file, EXPECTED) == Rejected("absent", "no checkpoint was written here yet")
