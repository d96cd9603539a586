"""Tasks that an eager rebalance took away, kept until it is known who has them now.

The `range` assignor takes everything from everybody at each change of the group and gives most of it back. Restoring
each task anew would make every arrival of a worker as slow as a cold start. So a task is kept as of its last commit,
and goes on if it comes back and the group's offsets, the sequence beside them and the writer of both are still ours:
then nobody has claimed it in between. Otherwise it is closed and restored like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from penstock.clock import Clock
from penstock.errors import KafkaUnavailable
from penstock.kafka.consumer import Committed
from penstock.kafka.group_view import Answer, Asked
from penstock.kafka.polled import Partition
from penstock.runtime.task import Task, TaskId
from penstock.state.offset_metadata import parse

Ask = Callable[[tuple[Partition, ...]], Answer[Mapping[Partition, Committed]]]


class Suspended:
    """Tasks without an owner.

    Args:
        ask: for the group's stable offsets, without waiting.
        clock: time.
    """

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._tasks: dict[TaskId, Task] = {}
        self._questions: dict[TaskId, Asked[Mapping[Partition, Committed]]] = {}

    def __contains__(self, task_id: object) -> bool:
        """Whether this task is kept."""
        return task_id in self._tasks

    def __len__(self) -> int:
        """How many."""
        return len(self._tasks)

    def put(self, task: Task) -> None:
        """Keep this one, as of its last commit."""
        task.discard()
        self._tasks[task.id] = task

    def keep(self, task_ids: Collection[TaskId]) -> None:
        """The assignment is known: close those that went to somebody else.

        Whatever was asked before, also of those that did not come back to work since, was about an earlier owner:
        others may have had the task and be gone again.
        """
        self._questions.clear()
        for task_id in [task_id for task_id in self._tasks if task_id not in task_ids]:
            self._close(task_id)

    def step(self, task_ids: Collection[TaskId]) -> Iterator[Task]:
        """Those of these that are ours as they are; what is not is closed, and may be restored."""
        for task_id in [task_id for task_id in self._tasks if task_id in task_ids]:
            task = self._tasks[task_id]
            question = self._questions.setdefault(task_id, self._asked(task.sources))
            try:
                committed = question.get()
            except KafkaUnavailable:
                continue
            if is_still_ours(task, committed):
                del self._tasks[task_id], self._questions[task_id]
                yield task
            else:
                self._close(task_id)

    def close(self) -> None:
        """Close all, whatever one of them raises."""
        try:
            while self._tasks:
                self._close(next(iter(self._tasks)))
        except BaseException:
            self.close()
            raise

    def _asked(self, sources: tuple[Partition, ...]) -> Asked[Mapping[Partition, Committed]]:
        return Asked(lambda: self._ask(sources), self._clock.monotonic_s)

    def _close(self, task_id: TaskId) -> None:
        self._questions.pop(task_id, None)
        self._tasks.pop(task_id).close()


def is_still_ours(task: Task, committed: Mapping[Partition, Committed]) -> bool:
    """Whether the group's offsets are those of this task's last commit, written by us."""
    for partition in task.sources:
        found = committed.get(partition)
        metadata = parse(found.metadata) if found is not None else None
        if found is None or metadata is None:
            return False
        written = (found.next_offset, metadata.sequence, metadata.owner_epoch, metadata.writer)
        own = task.committed
        if written != (own.next_offsets[partition], own.sequence, own.owner_epoch, task.writer):
            return False
    return True
