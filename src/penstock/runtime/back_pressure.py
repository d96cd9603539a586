"""Fetching no more of what is buffered enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from penstock.runtime.merge import Partition
from penstock.runtime.task import Task, TaskStatus


class Tap(Protocol):
    """What back-pressure asks of the consumer."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these until `resume`."""
        ...

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch these again."""
        ...


class BackPressure:
    """Pauses a partition at a number of buffered records and resumes it at half of that.

    A limit of records, since librdkafka bounds the bytes that it holds itself.

    Args:
        tap: the consumer.
        max_buffered_records: per partition.
    """

    def __init__(self, tap: Tap, max_buffered_records: int) -> None:
        self._tap = tap
        self._max_records = max_buffered_records
        self._paused: set[Partition] = set()

    def balance(self, tasks: Iterable[Task]) -> None:
        """Pause and resume what these tasks read, as far as they run."""
        for task in tasks:
            if task.status is not TaskStatus.RUNNING:
                continue
            for partition in task.sources:
                buffered = task.buffer.buffered(partition)
                if partition not in self._paused and buffered >= self._max_records:
                    self._tap.pause([partition])
                    self._paused.add(partition)
                elif partition in self._paused and buffered < self._max_records // 2:
                    self._tap.resume([partition])
                    self._paused.discard(partition)

    def forget(self, partitions: Iterable[Partition] | None = None) -> None:
        """These, or all, are fetched again or not ours any more: whoever starts them says so."""
        if partitions is None:
            self._paused.clear()
        else:
            self._paused.difference_update(partitions)
