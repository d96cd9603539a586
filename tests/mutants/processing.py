"""Breakages of what becomes of a record: its fate, its place in the order, its share of the transaction."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.batch import SourceBatch
from penstock.protocols import TransactionalProducer
from penstock.runtime.intake import Intake
from penstock.runtime.merge import Partition
from penstock.runtime.staged import DeadRecord, OutputBatch, Staged
from penstock.runtime.staging import Staging
from penstock.state.task_state import TaskState
from penstock.testing.history import Kind
from tests.mutants.mutant import Needs, mutant

Patches = pytest.MonkeyPatch


@mutant("dead letters dropped", "writes no dead letters", Needs.BAD_RECORDS, Kind.SILENT_DROP)
def _(patches: Patches) -> None:
    patches.setattr(Staging, "_dead_letter", lambda _self, _batch, _dead, _form: None)


@mutant("dead letter twice", "writes every dead letter twice", Needs.BAD_RECORDS, Kind.DUPLICATE)
def _(patches: Patches) -> None:
    write = Staging._dead_letter

    def twice(self: Staging, batch: SourceBatch, dead: DeadRecord, form: Any) -> None:
        write(self, batch, dead, form)
        write(self, batch, dead, form)

    patches.setattr(Staging, "_dead_letter", twice)


@mutant(
    "dead letter committed by itself",
    "commits a transaction as soon as a dead letter is in it, without offsets",
    Needs.BAD_RECORDS | Needs.ABORT,
    Kind.TORN,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    write = Staging._dead_letter

    def at_once(self: Staging, batch: SourceBatch, dead: DeadRecord, form: Any) -> None:
        write(self, batch, dead, form)
        self._session.commit()
        self.begin()

    patches.setattr(Staging, "_dead_letter", at_once)


@mutant(
    "good records dead-lettered",
    "writes a dead letter in the place of an output, as if an outage were the record's fault",
    Needs.NOTHING,
    Kind.LOST,
)
def _(patches: Patches) -> None:
    stage = Staging._stage

    def judged(self: Staging, batch: SourceBatch, staged: Staged) -> None:
        if len(batch) == 1 and staged.outputs and not staged.dead:
            staged = Staged(dead=[DeadRecord(0, "process", "", OSError("away"))], records=1)
        stage(self, batch, staged)

    patches.setattr(Staging, "_stage", judged)


@mutant(
    "output beside the dead letter",
    "writes a dead letter for a record whose output it has written as well",
    Needs.NOTHING,
    Kind.OUTPUT_AND_DEAD_LETTER,
)
def _(patches: Patches) -> None:
    stage = Staging._stage

    def both(self: Staging, batch: SourceBatch, staged: Staged) -> None:
        if staged.outputs and not staged.dead:
            staged.dead = [DeadRecord(len(batch) - 1, "process", "", OSError("late"))]
        stage(self, batch, staged)

    patches.setattr(Staging, "_stage", both)


@mutant(
    "failed record's state kept",
    "leaves in the state what a record had written before it failed",
    Needs.BAD_RECORDS | Needs.STATE,
    Kind.WRONG_VALUE,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    patches.setattr(TaskState, "drop_batch", lambda self: self.accept_batch())


def _changed(output: OutputBatch, rows: slice) -> OutputBatch:
    """A copy with these rows: outputs of one batch may share columns."""
    return OutputBatch(
        output.topic,
        output.keys[rows],
        output.values[rows],
        output.timestamps_ms[rows],
        None if output.partitions is None else output.partitions[rows],
        None if output.headers is None else output.headers[rows],
    )


@mutant(
    "outputs turned round", "hands the outputs of a batch over in the opposite order", Needs.NOTHING, Kind.REORDERED
)
def _(patches: Patches) -> None:
    hand = OutputBatch.hand_to

    def backwards(self: OutputBatch, producer: TransactionalProducer) -> None:
        hand(_changed(self, slice(None, None, -1)), producer)

    patches.setattr(OutputBatch, "hand_to", backwards)


@mutant("outputs twice", "hands the outputs of a batch over twice", Needs.NOTHING, Kind.DUPLICATE)
def _(patches: Patches) -> None:
    hand = OutputBatch.hand_to

    def twice(self: OutputBatch, producer: TransactionalProducer) -> None:
        hand(self, producer)
        hand(self, producer)

    patches.setattr(OutputBatch, "hand_to", twice)


@mutant("first output lost", "does not hand over the first output of a batch", Needs.NOTHING, Kind.LOST)
def _(patches: Patches) -> None:
    hand = OutputBatch.hand_to

    def short(self: OutputBatch, producer: TransactionalProducer) -> None:
        hand(_changed(self, slice(1, None)), producer)

    patches.setattr(OutputBatch, "hand_to", short)


@mutant(
    "chain unchecked",
    "takes what was polled for what comes next, whether it follows what came before or not",
    Needs.ABORT,
    Kind.DUPLICATE,
    Kind.LOST,
)
def _(patches: Patches) -> None:
    def believes(self: Intake, partition: Partition, offset: int) -> None:
        del offset
        self._unproven.discard(partition)

    patches.setattr(Intake, "_follow", believes)
