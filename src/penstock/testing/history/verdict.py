"""What was found, with the least that shows it: coordinates, and payloads only for those who ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from penstock.testing.history.log import Place
from penstock.testing.record_batch import StoredRecord

_LONGEST = 200


class Kind(Enum):
    """What is wrong, as a reader of committed records sees it."""

    LOST = "lost"
    """An input was committed as done, and what should have come of it is not there."""
    DUPLICATE = "duplicate"
    """An input has been applied twice: its output stands there twice, or its effect is in the state twice."""
    PHANTOM = "phantom"
    """Something is visible that no input explains; or a position is committed where nothing is."""
    ABORTED_READ = "aborted read"
    """What is visible comes of an input whose transaction was aborted, or never ended."""
    TORN = "torn"
    """Outputs, state, dead letters and offsets of one piece of work are not in one transaction."""
    REORDERED = "reordered"
    """Results of one key stand in another order than their inputs, or in two partitions."""
    WRONG_VALUE = "wrong value"
    """What came of an input is there once and is not what the model says."""
    OFFSET_REGRESSION = "offset regression"
    """The group went back to an offset that it had left behind."""
    STALE_RESTORE = "stale restore"
    """A new owner went on from a state that was not the last one committed."""
    DUAL_WRITER = "dual writer"
    """A writer that had been replaced wrote again."""
    OUTPUT_AND_DEAD_LETTER = "output and dead letter both"
    """One input was processed and dead-lettered."""
    SILENT_DROP = "silent drop"
    """An input that fails was committed as done, and no dead letter tells of it."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One record, or the place of one, that shows it.

    Attributes:
        role: `input`, `output`, `dead letter`, `offset commit`, `changelog` or `aborted`.
        place: where; for an offset commit the partition that is read.
        offset: there; for an offset commit the next offset that it says.
        note: what else matters, without payloads.
        record: what stands there, for those who ask.
    """

    role: str
    place: Place
    offset: int
    note: str = ""
    record: StoredRecord | None = None

    def told(self, *, payloads: bool = False) -> str:
        """One line; key and value only with `payloads`."""
        line = f"{self.role:<13} {self.place}@{self.offset}" + (f"  ({self.note})" if self.note else "")
        if payloads and self.record is not None:
            line += f"  {_cut(self.record.key)} = {_cut(self.record.value)}"
        return line


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is wrong.

    Attributes:
        kind: its name.
        place: where it shows, with `offset`.
        offset: of the first record that is wrong; of the input, where a record is missing.
        sentence: what was found there.
        witnesses: the least that shows it.
        more: of the same kind in the same partition.
    """

    kind: Kind
    place: Place
    offset: int
    sentence: str
    witnesses: tuple[Witness, ...]
    more: int = 0

    def told(self, *, payloads: bool = False) -> str:
        """For people: the verdict, and under it a line for each witness.

        Args:
            payloads: keys and values too, cut to 200 bytes; left out otherwise, for logs are read by many.
        """
        head = f"{self.kind.value}: {self.place}@{self.offset}: {self.sentence}"
        if self.more:
            head += f" (and {self.more} more in this partition)"
        return "\n".join([head, *(f"  {witness.told(payloads=payloads)}" for witness in self.witnesses)])

    def __str__(self) -> str:
        """As `told`, without payloads."""
        return self.told()


def summed_up(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The first of each kind in each partition, and how many more there are; in the order of kinds, then places."""
    first: dict[tuple[Kind, Place], list[Verdict]] = {}
    for verdict in verdicts:
        first.setdefault((verdict.kind, verdict.place), []).append(verdict)
    found: list[Verdict] = []
    for group in first.values():
        earliest = min(group, key=lambda verdict: verdict.offset)
        more = sum(verdict.more + 1 for verdict in group) - earliest.more - 1
        found.append(
            Verdict(
                earliest.kind,
                earliest.place,
                earliest.offset,
                earliest.sentence,
                earliest.witnesses,
                earliest.more + more,
            )
        )
    kinds = list(Kind)
    return sorted(found, key=lambda verdict: (kinds.index(verdict.kind), verdict.place, verdict.offset))


def _cut(data: bytes | None) -> str:
    if data is None:
        return "none"
    return repr(data[:_LONGEST]) + (f" and {len(data) - _LONGEST} bytes more" if len(data) > _LONGEST else "")
