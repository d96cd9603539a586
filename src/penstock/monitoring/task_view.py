"""A worker's tasks as they were at one moment: unchangeable, so that another thread may read it at any time.

The loop makes a new view once a second, and at each change of the assignment. Everything that is told per partition or
task comes from the newest view and from nowhere else: what has gone to another worker is gone from the next answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from penstock.deadletter.parking import NOTHING_PARKED, ParkedCounts
from penstock.runtime.breaker_state import BreakerState
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task, TaskId


class Worker(Protocol):
    """What is asked of a worker; on its own thread."""

    @property
    def tasks(self) -> Mapping[TaskId, Task]:
        """The tasks that are here."""
        ...

    @property
    def restoring(self) -> Mapping[TaskId, tuple[int, int] | None]:
        """Those on their way: changelog offsets read, and all that are to be."""
        ...


@dataclass(frozen=True, slots=True)
class InputView:
    """An input partition of a task.

    Attributes:
        topic: which.
        partition: likewise.
        next_offset: behind what was committed.
        buffered: records fetched and not yet processed.
        waits_since_ms: what waits is not older than this; None where nothing waits, or nothing is known.
        is_known: whether anything is.
    """

    topic: str
    partition: int
    next_offset: int
    buffered: int
    waits_since_ms: int | None
    is_known: bool

    def time_lag_s(self, now_ms: int) -> float | None:
        """At most the age of the next record; None = not known. Clocks that disagree make it 0, never less."""
        if not self.is_known:
            return None
        return 0.0 if self.waits_since_ms is None else max(0.0, (now_ms - self.waits_since_ms) / 1000)


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task.

    Attributes:
        id: its name.
        status: `running`, `stopped`, or `waiting`: it stands in front of a record, or its breaker is open.
        inputs: its partitions.
        sequence: committed transactions of it.
        stores: {store: (entries, bytes of keys and values)} as committed; None where it has none.
        stream_time_ms: None before it has begun.
        breaker: its circuit breaker.
        parked: how much waits for the retry of a record of its key.
    """

    id: TaskId
    status: str
    inputs: tuple[InputView, ...]
    sequence: int
    stores: Mapping[str, tuple[int, int]] | None
    stream_time_ms: int | None
    breaker: BreakerState = BreakerState.CLOSED
    parked: ParkedCounts = NOTHING_PARKED

    @property
    def parked_keys(self) -> int:
        """Keys whose records are parked."""
        return self.parked.keys

    @property
    def entries(self) -> int | None:
        """Committed, in all of its stores; None where it has none."""
        return None if self.stores is None else sum(entries for entries, _ in self.stores.values())


@dataclass(frozen=True, slots=True)
class WorkerView:
    """All tasks of a worker.

    Attributes:
        tasks: that are here.
        restoring: {task on its way: (offsets read, all that are to be)}, None = not known yet.
        left_s: {task on its way: how long it still takes}; those of which that is not known are missing.
    """

    tasks: tuple[TaskView, ...] = ()
    restoring: tuple[tuple[TaskId, tuple[int, int] | None], ...] = ()
    left_s: Mapping[TaskId, float] = field(default_factory=dict[TaskId, float])

    def without(self, partitions: list[Partition]) -> WorkerView:
        """The same without the tasks that lose one of these."""
        gone = set(partitions)
        kept = (t for t in self.tasks if gone.isdisjoint((each.topic, each.partition) for each in t.inputs))
        return replace(self, tasks=tuple(kept))


def view_of(worker: Worker) -> WorkerView:
    """As of now; to be called on the worker's thread."""
    return WorkerView(tuple(map(_task, worker.tasks.values())), tuple(worker.restoring.items()))


def _task(task: Task) -> TaskView:
    return TaskView(
        task.id,
        task.status.value,
        tuple(_input(task, partition) for partition in task.sources),
        task.committed.sequence,
        None if task.state is None else task.state.sizes(),
        task.committed.time.now_ms,
        task.breaker,
        task.parked.counts,
    )


def _input(task: Task, partition: Partition) -> InputView:
    topic, number = partition
    oldest_ms, is_at_end = task.buffer.oldest_ms(partition), task.buffer.end(partition) is not None
    # Between two fetches nothing is buffered and more may be there: it comes behind what was last dealt with.
    since_ms = oldest_ms if oldest_ms is not None or is_at_end else task.committed.append_time_ms
    return InputView(
        topic,
        number,
        task.committed.next_offsets[partition],
        task.buffer.buffered(partition),
        since_ms,
        is_at_end or since_ms is not None,
    )
