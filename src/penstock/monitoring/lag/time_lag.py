"""Offsets into seconds: between which two moments the next record came, made narrow by asking the broker.

1. What is known already: the curve of the partition's end, and the metadata beside the committed offset (a worker of
   ours writes there when the record before was appended; the next one is not older).
2. Where that is too wide: ask for the first record not older than a time between the two, halving the *logarithm* of
   the age each time. Each answer is a true point and stays on the curve, so that the next cycle asks once or never.

Where compaction takes records away, the record at an offset may be gone; then the next one that is left counts, which
may be much younger. Asked for the first record behind all that come before the offset, the broker names it.

Timestamps that producers set (CreateTime) need not ascend; then the answer is as good as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.kafka.polled import Partition
from penstock.kafka.survey import TimedOffset
from penstock.monitoring.lag.curve import Curve

MOST_ROUNDS: Final = 12
"""Requests per partition and cycle."""
_WIDEST: Final = 0.09
"""Of the age of its older side, so that its middle is wrong by five per cent at most also where the younger is true."""
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
        is_compacted: whether the record there may be gone.
        exact_ms: when the record came that counts, as the broker says; None = it has not said.
    """

    partition: Partition
    offset: int
    beacon_ms: int | None = None
    is_compacted: bool = False
    exact_ms: int | None = None
    _before_ms: int | None = None
    _has_asked_low: bool = False

    def bracket_ms(self, curve: Curve, now_ms: int) -> tuple[int | None, int]:
        """(not before, before)."""
        highs_ms = [each for each in (curve.when(self.offset).high_ms, self._before_ms) if each is not None]
        return self.low_ms(curve), min([*highs_ms, now_ms])

    def low_ms(self, curve: Curve) -> int | None:
        """The record is not older than that; None = nothing is known."""
        lows_ms = [each for each in (curve.when(self.offset).low_ms, self.beacon_ms) if each is not None]
        return max(lows_ms, default=None)

    def answer(self, curve: Curve, now_ms: int) -> TimeLag | None:
        """As far as it is known; None = nothing is known of how old it may be."""
        if self.exact_ms is not None:
            return TimeLag(max(0, now_ms - self.exact_ms) / 1000, 0.0)
        low_ms, high_ms = self.bracket_ms(curve, now_ms)
        if low_ms is None:
            return None
        low_ms = min(low_ms, high_ms)  # clocks that disagree
        return TimeLag(max(0, now_ms - (low_ms + high_ms) / 2) / 1000, (high_ms - low_ms) / 2000)

    def next_ms(self, curve: Curve, now_ms: int) -> int | None:
        """The time to ask for next; None = it is known well enough."""
        if self.exact_ms is not None:
            return None
        low_ms, high_ms = self.bracket_ms(curve, now_ms)
        if low_ms is None:
            return 0  # the first record there is, which says how old the oldest may be
        width_ms, age_ms = high_ms - low_ms, max(1, now_ms - low_ms)
        if width_ms <= max(_NARROW_MS, _WIDEST * age_ms):
            return self._compacted_next_ms(low_ms, high_ms) if self.is_compacted else None
        youngest_ms = max(1, now_ms - high_ms)
        asked_ms = now_ms - round(math.sqrt(youngest_ms * age_ms))
        return min(max(asked_ms, low_ms + 1), high_ms - 1)

    def _compacted_next_ms(self, low_ms: int, high_ms: int) -> int | None:
        """Narrower and narrower, until nothing is left between what comes before the offset and what is found."""
        self._has_asked_low = not self._has_asked_low
        if self._has_asked_low:
            return low_ms
        return (low_ms + high_ms) // 2 if high_ms - low_ms > 1 else None

    def told(self, curve: Curve, asked_ms: int, answer: TimedOffset) -> None:
        """Note an answer of the broker, before the curve does: it may name the record itself."""
        if not self.is_compacted or answer.offset is None or answer.offset < self.offset:
            return
        low_ms = self.low_ms(curve)
        if low_ms is not None and asked_ms <= low_ms:
            self.exact_ms = answer.timestamp_ms
        # Remembered here as well: where the log was another one when the curve was drawn, it does not believe this.
        self._before_ms = asked_ms if self._before_ms is None else min(self._before_ms, asked_ms)


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


def _has_taught(curve: Curve, questions: Sequence[Question], asked_ms: int, answer: TimedOffset) -> bool:
    """Note an answer; whether anything was learnt from it."""
    before = len(curve)
    if asked_ms == 0 and answer.offset is not None:
        # Nothing is left before this record, whatever was committed: compaction took it.
        for question in questions:
            question.offset = max(question.offset, answer.offset)
    for question in questions:
        question.told(curve, asked_ms, answer)
    curve.told(asked_ms, answer.offset, answer.timestamp_ms)
    return len(curve) != before or any(question.is_compacted for question in questions)
