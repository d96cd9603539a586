"""The rules about who may write: nobody who has been replaced."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from penstock.testing.history.case import Case
from penstock.testing.history.changelogs import changelog_parts
from penstock.testing.history.log import Marker
from penstock.testing.history.verdict import Kind, Verdict, Witness
from penstock.testing.segments import Fate


def fenced(case: Case) -> Iterator[Verdict]:
    """A producer goes back to an earlier epoch."""
    for place, log in case.evidence.history.logs.items():
        newest: dict[int, int] = {}
        for entry in log.entries:
            producer, epoch = entry.writer
            if producer >= 0 and epoch < newest.get(producer, -1) and not isinstance(entry, Marker):
                witness = Witness("output", place, entry.offset, str(entry.writer), entry.record)
                yield Verdict(
                    Kind.DUAL_WRITER,
                    place,
                    entry.offset,
                    f"its writer had been fenced: epoch {newest[producer]} has written here before",
                    (witness,),
                )
            newest[producer] = max(newest.get(producer, -1), epoch)


def replaced_owners(case: Case) -> Iterator[Verdict]:
    """A task's commits: the owner's epoch goes back, or is shared by two."""
    for task in case.evidence.tasks:
        for (before, old), (after, new) in pairwise(case.evidence.noted(task)):
            source = next((each for each in after.next_offsets if each in before.next_offsets), None)
            if source is None or new.owner_epoch > old.owner_epoch:
                continue
            if new.owner_epoch < old.owner_epoch:
                sentence = f"{task} was committed by owner {new.owner_epoch} behind owner {old.owner_epoch}"
            elif new.writer != old.writer:
                sentence = f"{task} was committed by two writers in owner epoch {new.owner_epoch}"
            else:
                continue
            case.left.judged.add(task)
            yield Verdict(
                Kind.DUAL_WRITER,
                source,
                after.next_offsets[source],
                sentence,
                (before.witness(source), after.witness(source)),
            )


def at_the_same_time(case: Case) -> Iterator[Verdict]:
    """Two committed transactions of two producers that overlap in one changelog partition."""
    for task in case.evidence.tasks:
        for before, after in pairwise(changelog_parts(case.evidence, task, Fate.COMMITTED)):
            first, marker = after.part.entries[0], before.part.marker
            if marker is None or before.part.writer[0] == after.part.writer[0] or first.offset > marker.offset:
                continue
            yield Verdict(
                Kind.DUAL_WRITER,
                after.place,
                first.offset,
                f"two producers wrote the state of {task} at the same time, and both committed",
                tuple(
                    Witness("changelog", each.place, each.part.entries[0].offset, str(each.part.writer))
                    for each in (before, after)
                ),
            )
