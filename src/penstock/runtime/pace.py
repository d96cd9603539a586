"""How many records a task's next batch may have, so that it takes no longer than it should.

User code may take microseconds for a record, or seconds. Between two polls no batch may outlast the group's patience
(`max.poll.interval.ms`), and what is staged waits for the batch in hand. So a batch is cut by what the last ones took:
a task begins with a few records, and one that turned out slow has fewer in its next batch at once, more only by and by.
Any cut gives the same results.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskId

FIRST_BATCH_RECORDS = 10


@dataclass(slots=True)
class _Cost:
    """Of one record, as far as is known."""

    seconds: float
    size_bytes: float


class Pace:
    """Knows what each task's records took. Outlives the tasks: one that comes back is as slow as it was.

    Args:
        limits: of a batch.
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self._limits = limits
        self._costs: dict[TaskId, _Cost] = {}

    def max_records(self, task: TaskId) -> int:
        """How many records the task's next batch may have; at least one."""
        most = self._limits.max_batch_records
        cost = self._costs.get(task)
        if cost is None:
            return min(most, FIRST_BATCH_RECORDS)
        if cost.seconds * most > self._limits.max_batch_s:
            most = max(1, int(self._limits.max_batch_s / cost.seconds))
        if cost.size_bytes * most > self._limits.max_transaction_bytes:
            most = max(1, int(self._limits.max_transaction_bytes / cost.size_bytes))
        return most

    def expected_s(self, task: TaskId, records: int) -> float:
        """How long a batch of so many records takes; 0 where nothing is known."""
        cost = self._costs.get(task)
        return 0.0 if cost is None else cost.seconds * records

    def note(self, task: TaskId, records: int, duration_s: float, size_bytes: int) -> None:
        """A batch of so many records took so long and came to so many bytes."""
        if not records:
            return
        seconds, size = duration_s / records, size_bytes / records
        cost = self._costs.get(task)
        if cost is None:
            self._costs[task] = _Cost(seconds, size)
        else:
            cost.seconds = max(seconds, (cost.seconds + seconds) / 2)
            cost.size_bytes = max(size, (cost.size_bytes + size) / 2)
