"""Offsets into seconds: between which two moments the next record came, made narrow by asking the broker.

1. What is known already: the curve of the partition's end, and the metadata beside the committed offset (a worker of
   ours writes there when the record before was appended; the next one is not older).
2. Where that is too wide: ask for the first record not older than a time between the two, halving the *logarithm* of
   the age each time. Each answer is a true point and stays on the curve, so that the next cycle asks once or never.

Timestamps that producers set (CreateTime) need not ascend; then the answer is as good as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from penstock.kafka.polled import Partition
from penstock.kafka.survey import TimedOffset
from penstock.monitoring.lag.curve import Curve

MOST_ROUNDS: Final = 12
"""Requests per partition and cycle."""
_WIDEST: Final = 0.1
"""Of the age: an error of five per cent on either side."""
_NARROW_MS: Final = 500

AskTimes = Callable[[Mapping[Partition, int]], Mapping[Partition, TimedOffset]]


@dataclass(frozen=True, slots=True)
class TimeLag:
    """How old the next record is, and how wrong that may be on either side; seconds."""

    seconds: float
    error_s: float


@dataclass(slots=True)
class Question:
    """How old the record at an offset is.

    Attributes:
        partition: where.
        offset: of the next record.
        beacon_ms: it is not older than that; None = nobody says.
    """

    partition: Partition
    offset: int
    beacon_ms: int | None = None

    def bracket_ms(self, curve: Curve, now_ms: int) -> tuple[int | None, int]:
        """(not before, before)."""
        low_ms, high_ms = curve.when(self.offset)
        lows_ms = [each for each in (low_ms, self.beacon_ms) if each is not None]
        return max(lows_ms, default=None), now_ms if high_ms is None else min(high_ms, now_ms)

    def answer(self, curve: Curve, now_ms: int) -> TimeLag | None:
        """As far as it is known; None = nothing is known of how old it may be."""
        low_ms, high_ms = self.bracket_ms(curve, now_ms)
        if low_ms is None:
            return None
        low_ms = min(low_ms, high_ms)  # clocks that disagree
        return TimeLag(max(0, now_ms - (low_ms + high_ms) / 2) / 1000, (high_ms - low_ms) / 2000)

    def next_ms(self, curve: Curve, now_ms: int) -> int | None:
        """The time to ask for next; None = it is known well enough."""
        low_ms, high_ms = self.bracket_ms(curve, now_ms)
        if low_ms is None:
            return 0  # the first record there is, which says how old the oldest may be
        width_ms, age_ms = high_ms - low_ms, max(1, now_ms - low_ms)
        if width_ms <= max(_NARROW_MS, _WIDEST * age_ms):
            return None
        youngest_ms = max(1, now_ms - high_ms)
        asked_ms = now_ms - round(math.sqrt(youngest_ms * age_ms))
        return min(max(asked_ms, low_ms + 1), high_ms - 1)


def settle(
    questions: Iterable[Question],
    curves: Mapping[Partition, Curve],
    now_ms: int,
    ask: AskTimes,
    rounds: int = MOST_ROUNDS,
) -> int:
    """Ask the broker until every question is answered well enough, or for so many rounds; returns the rounds.

    One time per partition and round: groups that are at different places of one partition take turns.
    """
    waiting: dict[Partition, list[Question]] = {}
    for question in questions:
        waiting.setdefault(question.partition, []).append(question)
    for done in range(rounds):
        asked: dict[Partition, int] = {}
        for partition, theirs in waiting.items():
            curve = curves[partition]
            times_ms = (question.next_ms(curve, now_ms) for question in theirs)
            next_ms = next((each for each in times_ms if each is not None), None)
            if next_ms is not None:
                asked[partition] = next_ms
        if not asked:
            return done
        answers = ask(asked)
        # What does not answer, or has nothing new to tell, is asked no more.
        waiting = {
            partition: waiting[partition]
            for partition, answer in answers.items()
            if _has_taught(curves[partition], waiting[partition], asked[partition], answer)
        }
    return rounds


def _has_taught(curve: Curve, questions: Iterable[Question], asked_ms: int, answer: TimedOffset) -> bool:
    """Note an answer; whether anything was learnt from it."""
    before = len(curve)
    if asked_ms == 0 and answer.offset is not None:
        # Nothing is left before this record, whatever was committed: compaction took it.
        for question in questions:
            question.offset = max(question.offset, answer.offset)
    curve.told(asked_ms, answer.offset, answer.timestamp_ms)
    return len(curve) != before
