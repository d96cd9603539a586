"""Breakages of the way back to the last commit: what a discarded transaction leaves in memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from penstock.protocols import InputOffsets
from penstock.runtime.commit import Committer
from penstock.runtime.intake import Intake
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task
from penstock.runtime.worker import Worker
from penstock.state.task_state import TaskState
from penstock.testing.history import Kind
from tests.mutants.mutant import mutant

Patches = pytest.MonkeyPatch


@mutant(
    "overlay kept on abort",
    "leaves the state of a discarded transaction in place, and applies its inputs to it again",
    Kind.DUPLICATE,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    def keeps(self: TaskState) -> None:
        self._prepared = None
        self._batch.clear()

    patches.setattr(TaskState, "discard", keeps)


@mutant(
    "no seek after abort", "goes on reading where it is after a transaction was discarded", Kind.LOST, on_brokers=True
)
def _(patches: Patches) -> None:
    def stays(self: Worker) -> None:
        self._must_rewind = False

    patches.setattr(Worker, "_rewind", stays)


@mutant("buffers kept on abort", "keeps what was read ahead, and reads it again", Kind.DUPLICATE)
def _(patches: Patches) -> None:
    discard = Task.discard

    def keeps(self: Task) -> dict[Partition, int]:
        with pytest.MonkeyPatch.context() as inside:
            inside.setattr(self.buffer, "clear", lambda: None)
            return discard(self)

    patches.setattr(Task, "discard", keeps)


@mutant(
    "chain unchecked",
    "stays where it is when it has to go back, and takes what was polled for what comes next",
    Kind.DUPLICATE,
    Kind.LOST,
)
def _(patches: Patches) -> None:
    def believes(self: Intake, partition: Partition, offset: int) -> None:
        del offset
        self._unproven.discard(partition)

    def stays(self: Worker) -> None:
        self._must_rewind = False

    patches.setattr(Intake, "_follow", believes)
    patches.setattr(Worker, "_rewind", stays)


@mutant(
    "store applied before commit",
    "makes a transaction's changes the committed state before Kafka has committed it",
    Kind.DUPLICATE,
    Kind.WRONG_VALUE,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    def commit(self: Committer, tasks: Sequence[Task], *, claim: bool = False) -> None:
        offsets: dict[Partition, tuple[int, str]] = {}
        for task in tasks:
            prepared = task.prepare(claim=claim)
            changelog = self._changelog_of(task.id)
            if changelog is not None:
                places = [task.id.partition] * len(prepared.keys)
                self._session.producer.produce(changelog, prepared.keys, prepared.values, partitions=places)
            for marks in prepared.marks:
                marks.hand_to(self._session.producer)
            offsets.update(prepared.offsets)
        self.apply(tasks)
        self._session.commit(lambda: InputOffsets(offsets, self._live_membership(tasks)))

    patches.setattr(Committer, "commit", commit)
