"""Letters that are meant, with what became of them; standard error shows how far reading is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.deadletter.dead_letter import DeadLetter
    from penstock.redrive.ledger import Fate, Ledger
    from penstock.redrive.opening import Cluster
    from penstock.redrive.selection import Readable, Selection

Found = tuple["DeadLetter", "Fate"]


def read_letters(
    cluster: Cluster, topic: str, selection: Selection, readable: Readable, starts: Mapping[int, int] | None = None
) -> Iterator[Found]:
    """Those of a topic that are meant; no more of it is read than has to be, nor kept.

    Args:
        cluster: where.
        topic: of dead letters.
        selection: which.
        readable: what bytes say.
        starts: {partition: offset} to begin at; elsewhere at the beginning.
    """
    from penstock.cli.reading_display import ReadingDisplay  # noqa: PLC0415 - keeps `--help` fast

    letters, ledger = cluster.letters(topic, selection), cluster.ledger(topic)
    with ReadingDisplay() as display:
        display.begin(topic)
        for batch in letters.read(starts):
            display.advance(letters.done, letters.total)
            for letter in batch:
                if selection.holds(letter, readable):
                    yield letter, ledger.fate(letter.partition, letter.offset)


def read_newest(cluster: Cluster, topic: str, selection: Selection, readable: Readable, most: int) -> Iterator[Found]:
    """Those that are meant among the last letters of each partition, so many of each; in brief, for all are kept."""
    from penstock.cli.reading_display import ReadingDisplay  # noqa: PLC0415 - as above

    # Whatever stands at the end counts, also what failed too late to be meant: so that is not left out of the reading.
    letters, ledger = cluster.letters(topic, replace(selection, until_ms=None)), cluster.ledger(topic)
    newest = Newest(most)
    with ReadingDisplay() as display:
        display.begin(topic)
        for batch in letters.read(letters.newest(most)):
            display.advance(letters.done, letters.total)
            for letter in batch:
                newest.take(letter, is_meant=selection.holds(letter, readable))
    yield from newest.meant(ledger)


class Newest:
    """The last letters of each partition, as they are read.

    Args:
        most: of one partition.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[int, deque[DeadLetter | None]] = {}

    def take(self, letter: DeadLetter, *, is_meant: bool) -> None:
        """This one came next."""
        kept = self._kept.setdefault(letter.partition, deque(maxlen=self._most))
        kept.append(letter.in_brief() if is_meant else None)

    def meant(self, ledger: Ledger) -> Iterator[Found]:
        """Those that are meant, partition by partition."""
        for _, kept in sorted(self._kept.items()):
            for letter in kept:
                if letter is not None:
                    yield letter, ledger.fate(letter.partition, letter.offset)
