"""The rules about the group's offsets: they only go forward, and never beyond what there is to read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from penstock.testing.history.case import Case
from penstock.testing.history.verdict import Kind, Verdict


def regressions(case: Case) -> Iterator[Verdict]:
    """A commit behind which an earlier one was."""
    for task, commits in case.evidence.commits.items():
        for source in task.sources:
            own = [commit for commit in commits if source in commit.next_offsets]
            for before, after in pairwise(own):
                # An owner that was replaced is told as such; where it was is a consequence.
                is_replaced = before.note and after.note and after.note.owner_epoch < before.note.owner_epoch
                if after.next_offsets[source] < before.next_offsets[source] and not is_replaced:
                    yield Verdict(
                        Kind.OFFSET_REGRESSION,
                        source,
                        after.next_offsets[source],
                        f"the group of {task} had been at {before.next_offsets[source]}",
                        (before.witness(source), after.witness(source)),
                    )


def beyond_the_end(case: Case) -> Iterator[Verdict]:
    """A commit of records that are not there: what will stand there is going to be stepped over."""
    for commits in case.evidence.commits.values():
        for commit in commits:
            for source, next_offset in commit.next_offsets.items():
                end = case.evidence.history.logs[source].next_offset
                if next_offset > end:
                    yield Verdict(
                        Kind.PHANTOM,
                        source,
                        next_offset,
                        f"{source} ends at offset {end}",
                        (commit.witness(source),),
                    )
