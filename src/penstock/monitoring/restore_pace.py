"""How long restores still take, by how they got on so far.

Not by the slope of what is left: a restore of half a minute is over before Prometheus has seen two points of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.runtime.task import TaskId

Progress = tuple[int, int] | None
"""Offsets of the changelog read, and all that are to be; None = not known yet."""


class RestorePace:
    """Remembers since when each restore is under way: since the assignment in front of its first sight.

    Looks come once a second, and many a restore is over by the second one. For one thread.
    """

    def __init__(self) -> None:
        self._assigned_s: float | None = None
        self._since_s: dict[TaskId, float] = {}

    def assigned(self, now_s: float) -> None:
        """Partitions came; what restores from now on does so since now."""
        self._assigned_s = now_s

    def left_s(self, restoring: Iterable[tuple[TaskId, Progress]], now_s: float) -> dict[TaskId, float]:
        """Seconds that each still takes; those that have read nothing yet are missing.

        Args:
            restoring: all that are under way; one that is missing here begins anew when it is seen again.
            now_s: on the monotonic clock.
        """
        found = list(restoring)
        began_s = now_s if self._assigned_s is None else self._assigned_s
        self._since_s = {task: self._since_s.get(task, began_s) for task, _ in found}
        left: dict[TaskId, float] = {}
        for task, progress in found:
            spent_s = now_s - self._since_s[task]
            if progress is not None and progress[0] > 0 and spent_s > 0:
                read, total = progress
                # Its end may turn out to lie before it, as with what is left.
                left[task] = spent_s * max(0, total - read) / read
        return left
