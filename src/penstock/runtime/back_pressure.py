"""How much is read ahead: fetching no more of what is buffered enough, and how long to wait for what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task, TaskStatus

_SHORT_S = 0.01


class Tap(Protocol):
    """What back-pressure asks of the consumer."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these until `resume`."""
        ...

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch these again."""
        ...


class BackPressure:
    """Pauses a partition at a number of buffered records, or at its share of bytes, and resumes it at half of that.

    Args:
        tap: the consumer.
        limits: how much may be buffered; what librdkafka holds itself it bounds itself.
        hooks: told how many partitions are paused, when that has changed.
    """

    def __init__(self, tap: Tap, limits: WorkerLimits, hooks: WorkerHooks) -> None:
        self._tap = tap
        self._max_records = limits.max_buffered_records
        self._max_bytes = limits.max_buffered_bytes
        self._hooks = hooks
        self._paused: set[Partition] = set()
        self._told = 0

    def balance(self, tasks: Iterable[Task]) -> None:
        """Pause and resume what these tasks read, as far as they run."""
        running = [task for task in tasks if task.status is TaskStatus.RUNNING]
        share = self._max_bytes / max(1, sum(len(task.sources) for task in running))
        for task in running:
            for partition in task.sources:
                fill = max(
                    task.buffer.buffered(partition) / self._max_records, task.buffer.buffered_bytes(partition) / share
                )
                if partition not in self._paused and fill >= 1:
                    self._tap.pause([partition])
                    self._paused.add(partition)
                elif partition in self._paused and fill < 0.5:
                    self._tap.resume([partition])
                    self._paused.discard(partition)
        if len(self._paused) != self._told:
            self._told = len(self._paused)
            self._hooks.on_back_pressure(self._told)

    def patience_s(self, tasks: Iterable[Task], idle_s: float, *, is_arriving: bool) -> float:
        """How long a poll may wait for records; the client waits for as many as may be had.

        Args:
            tasks: all that are here.
            idle_s: how long where none of them has anything to do.
            is_arriving: whether tasks are on their way here, which want to be looked after.
        """
        buffers = [task.buffer for task in tasks if len(task.buffer)]
        if any(buffer.is_ready for buffer in buffers):
            return 0.0
        # What is buffered and waits for another input has it soon; or not for long, where that has no leader.
        return min(idle_s, _SHORT_S) if buffers or is_arriving else idle_s

    def forget(self, partitions: Iterable[Partition] | None = None) -> None:
        """These, or all, are fetched again or not ours any more: whoever starts them says so."""
        if partitions is None:
            self._paused.clear()
        else:
            self._paused.difference_update(partitions)
