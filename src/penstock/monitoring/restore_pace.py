"""How long restores still take, by how they got on so far.

Not by the slope of what is left: a restore of half a minute is over before Prometheus has seen two points of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.runtime.task import TaskId

Progress = tuple[int, int] | None
"""Offsets of the changelog read, and all that are to be; None = not known yet."""


class RestorePace:
    """Remembers since when each restore is seen. For one thread."""

    def __init__(self) -> None:
        self._since_s: dict[TaskId, float] = {}

    def left_s(self, restoring: Iterable[tuple[TaskId, Progress]], now_s: float) -> dict[TaskId, float]:
        """Seconds that each still takes; those are missing that have read nothing, or are seen for the first time.

        Args:
            restoring: all that are under way; one that is missing here begins anew when it is seen again.
            now_s: on the monotonic clock.
        """
        found = list(restoring)
        self._since_s = {task: self._since_s.get(task, now_s) for task, _ in found}
        left: dict[TaskId, float] = {}
        for task, progress in found:
            spent_s = now_s - self._since_s[task]
            if progress is not None and progress[0] > 0 and spent_s > 0:
                read, total = progress
                # Its end may turn out to lie before it, as with what is left.
                left[task] = spent_s * max(0, total - read) / read
        return left
