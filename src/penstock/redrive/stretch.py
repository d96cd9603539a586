"""Which stretch of a dead-letter topic has to be read where only some letters are wanted.

A topic that keeps its letters for ever is long one day, and who looks asks for the last hour. Letters stand in the
order in which they failed, but Kafka's look-up by time is of no use: a letter carries the timestamp of its original. So
places further and further from one end are looked at, each twice as far away as the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        if letters and all(_time_ms(letter, since_ms) < since_ms - SLACK_MS for letter in letters):
            return at
        step *= 2
    return begin


def end_offset_until(begin: int, end: int, until_ms: int, sample: Sample) -> int:
    """Behind which offset a partition holds no letters that failed before this time; the mirror of the above.

    Args:
        begin: its first offset.
        end: behind its last.
        until_ms: milliseconds since 1970 UTC.
        sample: looks at a place.
    """
    step = _FIRST_STEP
    while (at := begin + step) < end:
        letters = sample(at, SAMPLE)
        if letters and all(_time_ms(letter, until_ms) >= until_ms + SLACK_MS for letter in letters):
            return at
        step *= 2
    return end


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


def _time_ms(letter: DeadLetter, else_ms: int) -> int:
    return else_ms if letter.failed_ms is None else letter.failed_ms
