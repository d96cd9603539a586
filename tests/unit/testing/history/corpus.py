"""All histories that are written by hand."""

from __future__ import annotations

from tests.unit.testing.history import commit_cases, output_cases, parked_cases, state_cases
from tests.unit.testing.history.cases import Planted, written

MODULES = (commit_cases, output_cases, parked_cases, state_cases)
"""Importing them has written their cases down."""


def by_hand() -> list[Planted]:
    """All of them."""
    return written()
