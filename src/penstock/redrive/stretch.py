"""Where to begin to read a dead-letter topic of which only the newest letters are wanted.

A topic that keeps its letters for ever is long one day, and who looks asks for the last hour. Letters stand in the
order in which they failed, but Kafka's look-up by time is of no use: a letter carries the timestamp of its original. So
places further and further from the end are looked at, each twice as far away as the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from penstock.deadletter.dead_letter import DeadLetter

SAMPLE: Final = 100
"""So many letters are looked at in one place."""
SLACK_MS: Final = 3_600_000
"""By less than this letters are out of order: clocks of workers differ, and some records were waited for."""
_FIRST_STEP: Final = 1_000

Sample = Callable[[int, int], Sequence[DeadLetter]]
"""Of one partition: the first letters from an offset on, at most so many; fewer at its end."""


def first_offset_since(begin: int, end: int, since_ms: int, sample: Sample) -> int:
    """From where on a partition may hold letters that failed at this time or later.

    Where a sample holds letters that do not tell when they failed, nothing is left out: they may stand in any order.

    Args:
        begin: its first offset.
        end: behind its last.
        since_ms: milliseconds since 1970 UTC.
        sample: looks at a place.
    """
    step = _FIRST_STEP
    while (at := end - step) > begin:
        letters = sample(at, SAMPLE)
        if letters and all(_is_older(letter, since_ms - SLACK_MS) for letter in letters):
            return at
        step *= 2
    return begin


def first_offset_of(begin: int, end: int, most: int, sample: Sample) -> int:
    """From where on a partition holds at least so many letters; its beginning where it holds fewer.

    Args:
        begin: its first offset.
        end: behind its last.
        most: letters.
        sample: looks at a place; asked for as many letters as that.
    """
    step = 2 * most  # with each letter a marker: each in a transaction of its own
    while (at := end - step) > begin:
        if len(sample(at, most)) >= most:
            return at
        step *= 2
    return begin


def _is_older(letter: DeadLetter, time_ms: int) -> bool:
    return letter.failed_ms is not None and letter.failed_ms < time_ms


class Tail:
    """Keeps the last letters of each partition.

    Args:
        most: of one partition.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[int, deque[DeadLetter]] = {}

    def take(self, letters: Iterable[DeadLetter]) -> None:
        """These came next."""
        for letter in letters:
            self._kept.setdefault(letter.partition, deque(maxlen=self._most)).append(letter)

    def letters(self) -> Iterator[DeadLetter]:
        """Those that are kept, partition by partition."""
        for _, kept in sorted(self._kept.items()):
            yield from kept
