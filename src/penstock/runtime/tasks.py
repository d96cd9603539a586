"""What a worker asks of whoever knows the topology; `task_factory.TaskFactory` on a real cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from penstock.deadletter.topic import DeadLetterTopic
from penstock.kafka.consumer import Committed
from penstock.kafka.group_view import Answer
from penstock.runtime.merge import Partition
from penstock.runtime.restore import Restore, Restored
from penstock.runtime.task import Task, TaskId


class Tasks(Protocol):
    """Makes tasks: knows the topology, so that the worker need not."""

    def complete(self, assigned: set[Partition]) -> dict[TaskId, tuple[Partition, ...]]:
        """The tasks all of whose partitions are there, with those partitions in the order that decides ties."""
        ...

    def check(self, assigned: set[Partition]) -> None:
        """Whether an assignment that is final tears no task.

        Raises:
            ConfigurationError: it tears some; they could not run anywhere.
        """
        ...

    def stable_offsets(self, partitions: tuple[Partition, ...]) -> Answer[Mapping[Partition, Committed]]:
        """Ask for the group's stable offsets, without waiting."""
        ...

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...]) -> Restore:
        """Begin to bring a task back.

        Raises:
            CheckpointHeld: not yet; its owner before, on this machine, has not let go of it.
        """
        ...

    def start(self, task_id: TaskId, sources: tuple[Partition, ...], restored: Restored) -> Task:
        """The task, ready to run."""
        ...

    def tend(self, tasks: Iterable[Task]) -> None:
        """Do a little of what goes on beside the tasks that run; at every step, and never inside a batch."""
        ...

    def starved(self, stopped: Collection[TaskId]) -> set[TaskId]:
        """The tasks that get no more input, because all that write for them have stopped, or starve themselves."""
        ...

    def changelog_of(self, task_id: TaskId) -> str | None:
        """Its changelog topic."""
        ...

    def dead_letter_topic(self, source: str) -> DeadLetterTopic:
        """Where a source's dead letters go."""
        ...

    def renew_bounds(self) -> None:
        """Ask anew what the topics take: one of them has refused a record."""
        ...
