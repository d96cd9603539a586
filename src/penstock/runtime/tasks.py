"""What a worker asks of whoever knows the topology; `opening.TaskFactory` on a real cluster."""

from __future__ import annotations

from typing import Protocol

from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.restore import Restore, Restored
from penstock.runtime.task import Task, TaskId


class Tasks(Protocol):
    """Makes tasks: knows the topology, so that the worker need not."""

    def complete(self, assigned: set[Partition]) -> dict[TaskId, tuple[Partition, ...]]:
        """The tasks all of whose partitions are there, with those partitions in the order that decides ties."""
        ...

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...], consumer: Member) -> Restore:
        """Begin to bring a task back."""
        ...

    def start(self, task_id: TaskId, sources: tuple[Partition, ...], restored: Restored) -> Task:
        """The task, ready to run."""
        ...

    def changelog_of(self, task_id: TaskId) -> str | None:
        """Its changelog topic."""
        ...

    def dead_letter_topic(self, source: str) -> tuple[str, int]:
        """Where a source's dead letters go, and the largest record there."""
        ...

    def renew_bounds(self) -> None:
        """Ask anew what the topics take: one of them has refused a record."""
        ...
