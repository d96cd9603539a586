"""Descriptions are stable enough for code review. If a change is wanted: `python -m tests.unit.topology.snapshots`."""

from __future__ import annotations

import pytest

from tests.unit.topology.snapshots import FILES, SNAPSHOTS


@pytest.mark.parametrize("name", FILES)
def test_a_description_is_as_it_was_reviewed(name: str) -> None:
    assert FILES[name]() == (SNAPSHOTS / name).read_text()
