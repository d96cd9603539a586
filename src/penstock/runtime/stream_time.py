"""How far a task is in event time.

Where it reads topics of the user's only, that is the latest event time it has seen. Behind a repartition topic it is
the earliest of several clocks: one for each task that writes the topic, moved by its time marks, and one for each
stream that is read directly, moved by its records. While one of them was never heard, time has not begun. So a record
is late here at most as much as it was late where it came from, whichever upstream task was slow, down, or not yet
started; the price is that one which has nothing to say holds time back.

Every clock, and so time itself, only goes forward: an upstream task that begins anew may say less than before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from penstock.batch import SourceBatch
from penstock.operators.repartition_records import TimeMark

NO_TIME_YET: Final = -(2**63)
"""What a record is told of stream time before it has begun: less than any time."""

Clocks = Mapping[str, tuple[int | None, ...]]
"""{input topic: the times of the tasks that write it, by number; of a stream read directly, one}; None = not heard."""


@dataclass(frozen=True, slots=True)
class StreamTime:
    """A moment of a task's time; unchangeable.

    Attributes:
        now_ms: milliseconds since 1970 UTC; None before it has begun.
        clocks: what it is the earliest of; empty where the task reads no repartition topic.
    """

    now_ms: int | None = None
    clocks: Clocks = field(default_factory=dict[str, tuple[int | None, ...]])


@dataclass(frozen=True, slots=True)
class Timekeeping:
    """How a task group's time is kept.

    Attributes:
        repartitions: the repartition topics that it reads.
        streams: the streams that it reads directly; tables move no clock beside a repartition topic.
    """

    repartitions: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()

    def through(
        self,
        time: StreamTime,
        source: SourceBatch,
        rows: Sequence[int],
        event_times_ms: Sequence[int],
        marks: Mapping[int, TimeMark],
    ) -> tuple[list[int], StreamTime]:
        """Time at each of these rows, by place in the source batch, and behind the batch.

        Args:
            time: in front of it.
            source: as it was read.
            rows: places of its records.
            event_times_ms: theirs, one each.
            marks: {place: time mark}, ascending.
        """
        if source.topic in self.repartitions:
            return self._through_marks(time, source, marks)
        latest_ms = list(accumulate(event_times_ms, max, initial=_told(self._own(time, source.topic))))[1:]
        if not latest_ms:
            return [_told(time.now_ms)] * len(source), time
        if not self.repartitions:
            return _by_place(latest_ms, rows, len(source)), StreamTime(latest_ms[-1], time.clocks)
        if source.topic not in self.streams:
            return [_told(time.now_ms)] * len(source), time
        others_ms = self._earliest({**time.clocks, source.topic: ()})
        after = self._moved(time, source.topic, (latest_ms[-1],))
        if others_ms is None:
            return [_told(time.now_ms)] * len(source), after
        floor_ms = _told(time.now_ms)
        times_ms = [max(floor_ms, min(each, others_ms)) for each in latest_ms]
        return _by_place(times_ms, rows, len(source)), after

    def _own(self, time: StreamTime, topic: str) -> int | None:
        """The clock that a directly read topic moves."""
        return time.clocks.get(topic, (None,))[0] if self.repartitions else time.now_ms

    def _through_marks(
        self, time: StreamTime, source: SourceBatch, marks: Mapping[int, TimeMark]
    ) -> tuple[list[int], StreamTime]:
        times_ms: list[int] = []
        for place, mark in marks.items():
            times_ms += [_told(time.now_ms)] * (place - len(times_ms))
            known = time.clocks.get(source.topic, ())
            clock: list[int | None] = [*known, *[None] * (mark.tasks - len(known))]
            clock[mark.task] = _later(clock[mark.task], mark.stream_time_ms)
            time = self._moved(time, source.topic, tuple(clock))
        times_ms += [_told(time.now_ms)] * (len(source) - len(times_ms))
        return times_ms, time

    def _moved(self, time: StreamTime, topic: str, clock: tuple[int | None, ...]) -> StreamTime:
        clocks = {**time.clocks, topic: clock}
        earliest_ms = self._earliest(clocks)
        return StreamTime(time.now_ms if earliest_ms is None else _later(time.now_ms, earliest_ms), clocks)

    def _earliest(self, clocks: Clocks) -> int | None:
        """The earliest of all clocks; None while one is missing."""
        times_ms = [each for topic in self.repartitions | self.streams for each in clocks.get(topic, (None,))]
        heard = [each for each in times_ms if each is not None]
        return min(heard) if heard and len(heard) == len(times_ms) else None


def _by_place(column: list[int], rows: Sequence[int], length: int) -> list[int]:
    """A column indexed by place in the source batch, where that has rows which are not in the column."""
    if len(rows) == length:
        return column
    spread = [0] * length
    for row, value in zip(rows, column, strict=True):
        spread[row] = value
    return spread


def _told(now_ms: int | None) -> int:
    return NO_TIME_YET if now_ms is None else now_ms


def _later(before_ms: int | None, time_ms: int) -> int:
    return time_ms if before_ms is None else max(before_ms, time_ms)
