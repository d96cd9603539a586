"""Whether a last stable offset stands still below a high watermark that moves: then a transaction hangs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penstock.kafka.extents import Extent
from penstock.kafka.polled import Partition

BLOCKED_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Mark:
    last_stable: int
    high_watermark: int
    since_ms: int


class Stability:
    """Follows partitions from cycle to cycle."""

    def __init__(self) -> None:
        self._marks: dict[Partition, _Mark] = {}

    def look(self, extents: Mapping[Partition, Extent], now_ms: int) -> dict[Partition, int]:
        """{partition that is stuck: since when}; those that are not looked at any more are forgotten."""
        marks: dict[Partition, _Mark] = {}
        stuck: dict[Partition, int] = {}
        for place, extent in extents.items():
            mark = self._marks.get(place)
            if mark is None or mark.last_stable != extent.last_stable or not extent.is_open:
                mark = _Mark(extent.last_stable, extent.high_watermark, now_ms)
            marks[place] = mark
            if extent.is_open and extent.high_watermark > mark.high_watermark:
                stuck[place] = mark.since_ms
        self._marks = marks
        return stuck
