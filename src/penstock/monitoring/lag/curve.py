"""Where a partition's end was, and when. From this follows when the record at an offset came.

Points come from looking (at this time the end was there) and from asking the broker (the first record not older than
this time stands there). Two numbers a point, a bounded number of points: a cluster of 5,000 partitions takes 5 MB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

MOST_POINTS: Final = 64


class Bracket(NamedTuple):
    """When a record came: not before `low_ms`, and before `high_ms`; None = not known."""

    low_ms: int | None
    high_ms: int | None


class Curve:
    """Of one partition: times ascend, and so do ends."""

    __slots__ = ("_ends", "_times_ms")

    def __init__(self) -> None:
        self._times_ms: array[int] = array("q")
        self._ends: array[int] = array("q")

    def __len__(self) -> int:
        """Points."""
        return len(self._times_ms)

    def look(self, now_ms: int, end: int) -> None:
        """Note where the end is now."""
        if self._ends and end < self._ends[-1]:  # the log was cut, or made anew: nothing is known any more
            self._times_ms, self._ends = array("q"), array("q")
        if self._times_ms and now_ms <= self._times_ms[-1]:
            return  # this machine's clock went back
        stands_still = len(self._ends) > 1 and self._ends[-1] == self._ends[-2] == end
        if stands_still:
            self._times_ms[-1] = now_ms
            return
        self._times_ms.append(now_ms)
        self._ends.append(end)
        self._thin()

    def told(self, asked_ms: int, offset: int | None, timestamp_ms: int | None) -> None:
        """Note what the broker says: the first record not older than `asked_ms`; None = there is none."""
        if not self._ends:
            return
        if offset is None or timestamp_ms is None or offset >= self._ends[-1]:
            # All that we have seen is older; a record behind our last look says no more.
            self._insert(asked_ms, self._ends[-1])
            return
        self._insert(asked_ms, offset)
        self._insert(timestamp_ms, offset)
        self._insert(timestamp_ms + 1, offset + 1)

    def when(self, offset: int) -> Bracket:
        """When the record at this offset came."""
        place = bisect_right(self._ends, offset)
        return Bracket(
            self._times_ms[place - 1] if place else None,
            self._times_ms[place] if place < len(self._ends) else None,
        )

    def _insert(self, time_ms: int, end: int) -> None:
        place = bisect_left(self._times_ms, time_ms)
        # Younger than our last look: the clock of whoever wrote the record is ahead.
        if place == len(self._times_ms) or self._times_ms[place] == time_ms:
            return
        # Timestamps that producers set need not ascend. What contradicts its neighbours is not believed.
        if (place and self._ends[place - 1] > end) or self._ends[place] < end:
            return
        self._times_ms.insert(place, time_ms)
        self._ends.insert(place, end)
        self._thin()

    def _thin(self) -> None:
        """Drop every second point of the older half: what is long ago may be known less exactly, in proportion."""
        if len(self._times_ms) <= MOST_POINTS:
            return
        half = len(self._times_ms) // 2
        for points in (self._times_ms, self._ends):
            del points[1:half:2]
