"""Positions that are no longer in the log: deleted by retention or by hand, truncated, or the topic was made anew.

Only the task that reads there stops. It first deals with the records that it has in hand: they stood in front of the
gap, and stopping at once would make it larger.

A worker that stood still may read from a position that its successor has left long ago, before it hears that it is out
of the group: what is gone there was dealt with. So the group is asked who has the task, before anybody stops for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from penstock.errors import OperatorMustDecide, TransactionAborted
from penstock.kafka.consumer import Committed
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task, TaskStatus
from penstock.state.offset_metadata import parse

_ASK_TIMEOUT_S: Final = 5.0


class PositionLost(OperatorMustDecide):
    """A task cannot go on where it is.

    Args:
        task: the task.
        partition: where.
        next_offset: what it would read next.
        begin: the first offset that the log has.
        end: behind the last that it has.

    Attributes:
        topic: where.
        partition: where.
        offset: what it would read next.
    """

    def __init__(self, task: Task, partition: Partition, next_offset: int, begin: int, end: int) -> None:
        self.topic, self.partition, self.offset = *partition, next_offset
        where = f"{partition[0]}[{partition[1]}]"
        if next_offset < begin:
            told = f"{where}@{next_offset} to {begin - 1} is gone before it was read: the log begins at {begin} now"
            cause, go_on_at = "retention, or somebody, deleted it", begin
        else:
            told = f"{where}@{next_offset} comes next, and the log has {begin} to {end - 1} only"
            cause, go_on_at = "the topic was made anew, or a replica without its last records became leader", begin
        advice = (
            "its state would lack these records: start the pipeline anew under another name, or bring the topic back"
            if task.state is not None
            else f"to go on without them, set the group's offset of {where} to {go_on_at} while no worker runs"
        )
        super().__init__(
            f"task {task.id}: {told} ({cause}). The task stands still in front of it, and what it did before is "
            f"committed; {advice}"
        )


class LostPositions:
    """Those of a worker's tasks.

    Args:
        end_offsets: (first offset, end) of a partition as the broker says now.
        committed: the group's stable positions of these partitions, asked for so many seconds.
    """

    def __init__(
        self,
        end_offsets: Callable[[Partition], tuple[int, int]],
        committed: Callable[[Sequence[Partition], float], Mapping[Partition, Committed]],
    ) -> None:
        self._end_offsets = end_offsets
        self._committed = committed
        self._lost: dict[Partition, int] = {}

    def note(self, lost: Mapping[Partition, int]) -> None:
        """These were asked for at these offsets, which are not there."""
        self._lost |= lost

    def forget(self, partitions: Iterable[Partition]) -> None:
        """These begin anew."""
        for partition in partitions:
            self._lost.pop(partition, None)

    def due(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, PositionLost]]:
        """The tasks that have nothing left in front of a position that is lost; each once.

        Raises:
            KafkaUnavailable: the brokers do not say what they have.
            TransactionAborted: the position is in the log: told of before a restart, or by a broker that was behind;
                or the task is somebody else's by now.
        """
        for task in tasks:
            for partition in task.sources if task.status is TaskStatus.RUNNING else ():
                if partition in self._lost and not task.buffer.buffered(partition):
                    yield task, self._judged(task, partition, self._lost[partition])
                    break

    def _judged(self, task: Task, partition: Partition, next_offset: int) -> PositionLost:
        begin, end = self._end_offsets(partition)
        where = f"{partition[0]}[{partition[1]}]@{next_offset}"
        if begin <= next_offset <= end:
            raise TransactionAborted(f"{where} was told to be gone, and is there; reading again")
        if _was_overtaken(task, self._committed(task.sources, _ASK_TIMEOUT_S)):
            raise TransactionAborted(f"{where} is gone, and task {task.id} is somebody else's by now; discarding")
        return PositionLost(task, partition, next_offset, begin, end)


def _was_overtaken(task: Task, committed: Mapping[Partition, Committed]) -> bool:
    """Whether the group has a later commit of this task than ours."""
    told = [parse(each.metadata) for each in committed.values()]
    ours = task.committed.owner_epoch, task.committed.sequence
    return any(each is not None and (each.owner_epoch, each.sequence) > ours for each in told)
