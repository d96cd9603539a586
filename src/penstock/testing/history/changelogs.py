"""A task's changelog: what state it adds up to, and its transactions with their commit records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock.testing.history.evidence import Evidence
from penstock.testing.history.log import Data, Part, Place
from penstock.testing.history.notes import COMMIT_RECORD, Commit, commit_of
from penstock.testing.history.run import Task, fold
from penstock.testing.segments import Fate


@dataclass(frozen=True, slots=True)
class ChangelogPart:
    """What one transaction has written to one changelog.

    Attributes:
        place: the changelog's partition.
        part: with its entries.
        commit: the commit record that ends it; None = it has none.
        at: where that stands, or else the last entry.
    """

    place: Place
    part: Part[Data]
    commit: Commit | None
    at: int


def changelog_parts(evidence: Evidence, task: Task, *fates: Fate) -> Iterator[ChangelogPart]:
    """The parts of these fates, in the order of their first entries; none for a task without a changelog."""
    if task.changelog is None:
        return
    for part in evidence.parts.get(task.changelog, []):
        if part.fate in fates:
            last = part.entries[-1].record
            commit = commit_of(last.value) if last.key == COMMIT_RECORD else None
            yield ChangelogPart(task.changelog, part, commit, last.offset)


def committed_entries(evidence: Evidence, task: Task) -> list[Data]:
    """The committed records of a changelog, commit records too, in offset order."""
    found = [entry for each in changelog_parts(evidence, task, Fate.COMMITTED) for entry in each.part.entries]
    return sorted(found, key=lambda entry: entry.offset)


def final_state(evidence: Evidence, task: Task) -> dict[Any, Any]:
    """What the changelog adds up to, in the model's form."""
    state: dict[Any, Any] = {}
    for entry in committed_entries(evidence, task):
        if entry.record.key != COMMIT_RECORD:
            fold(task.stage, state, entry.record.key or b"", entry.record.value)
    return state
