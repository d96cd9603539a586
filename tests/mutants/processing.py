"""Breakages of what becomes of a record: its fate, its place in the order, its share of the transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.batch import SourceBatch
from penstock.kafka.reader import Isolation
from penstock.protocols import TransactionalProducer
from penstock.runtime import judge
from penstock.runtime.parked import ParkedRecords
from penstock.runtime.savepoint import RecordWaits, SavepointLogic
from penstock.runtime.staged import DeadRecord, OutputBatch, Staged
from penstock.runtime.staging import Staging
from penstock.state.task_state import TaskState
from penstock.testing.cluster.partition import SimulatedPartition
from penstock.testing.history import Kind
from penstock.topology.policy import Classifier, Nature, nature_of
from tests.mutants.mutant import mutant

Patches = pytest.MonkeyPatch


@mutant("dead letters dropped", "writes no dead letters", Kind.SILENT_DROP)
def _(patches: Patches) -> None:
    patches.setattr(Staging, "_dead_letter", lambda _self, _batch, _dead, _form: None)


@mutant("dead letter twice", "writes every dead letter twice", Kind.DUPLICATE)
def _(patches: Patches) -> None:
    write = Staging._dead_letter

    def twice(self: Staging, batch: SourceBatch, dead: DeadRecord, form: Any) -> None:
        write(self, batch, dead, form)
        write(self, batch, dead, form)

    patches.setattr(Staging, "_dead_letter", twice)


@mutant(
    "registry outage dead-lettered",
    "takes a dependency that is away for the record's fault: its dead letter stands in the place of an output",
    Kind.LOST,
    Kind.PHANTOM,
)
def _(patches: Patches) -> None:
    def is_to_blame(error: Exception, classify: Classifier | None = None) -> Nature:
        nature = nature_of(error, classify)
        return "poison" if nature == "transient" else nature

    patches.setattr(judge, "nature_of", is_to_blame)


@mutant("input read uncommitted", "reads what was aborted, and what is not decided yet", Kind.ABORTED_READ)
def _(patches: Patches) -> None:
    fetch = SimulatedPartition.fetch

    def everything(self: SimulatedPartition, offset: int, max_records: int, isolation: Isolation) -> Any:
        del isolation
        return fetch(self, offset, max_records, "read_uncommitted")

    patches.setattr(SimulatedPartition, "fetch", everything)
    patches.setattr(SimulatedPartition, "last_stable_offset", property(lambda self: self.high_watermark))


@mutant(
    "output beside the dead letter",
    "writes a dead letter for a record whose output it has written as well",
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


@mutant("outputs turned round", "hands the outputs of a batch over in the opposite order", Kind.REORDERED)
def _(patches: Patches) -> None:
    hand = OutputBatch.hand_to

    def backwards(self: OutputBatch, producer: TransactionalProducer) -> None:
        hand(_changed(self, slice(None, None, -1)), producer)

    patches.setattr(OutputBatch, "hand_to", backwards)


@mutant("outputs twice", "hands the outputs of a batch over twice", Kind.DUPLICATE)
def _(patches: Patches) -> None:
    hand = OutputBatch.hand_to

    def twice(self: OutputBatch, producer: TransactionalProducer) -> None:
        hand(self, producer)
        hand(self, producer)

    patches.setattr(OutputBatch, "hand_to", twice)


@mutant("first output lost", "does not hand over the first output of a batch", Kind.LOST)
def _(patches: Patches) -> None:
    hand = OutputBatch.hand_to

    def short(self: OutputBatch, producer: TransactionalProducer) -> None:
        hand(_changed(self, slice(1, None)), producer)

    patches.setattr(OutputBatch, "hand_to", short)


@mutant(
    "parked key overtaken",
    "does not keep the records of a key back while one of them is parked",
    Kind.REORDERED,
    Kind.WRONG_VALUE,
)
def _(patches: Patches) -> None:
    patches.setattr(ParkedRecords, "held", lambda _self, _source, _places: [])


@mutant(
    "parked record forgotten",
    "goes on behind a record that is to be tried again, and does not park it",
    Kind.LOST,
    Kind.SILENT_DROP,
)
def _(patches: Patches) -> None:
    patches.setattr(ParkedRecords, "park", lambda _self, _source, _dead, _wait_s: None)


@mutant(
    "waiting task goes on",
    "goes on behind a record that the task is to wait for",
    Kind.LOST,
    Kind.SILENT_DROP,
)
def _(patches: Patches) -> None:
    run = SavepointLogic.run_batch

    def steps_over(self: SavepointLogic, source: SourceBatch) -> Staged:
        try:
            return run(self, source)
        except RecordWaits as waits:
            behind = waits.place + 1
            rest = self.run_batch(source.slice(behind, len(source))) if behind < len(source) else Staged()
            rest.outputs = [*waits.staged.outputs, *rest.outputs]
            rest.dead = [*waits.staged.dead, *(replace(dead, place=dead.place + behind) for dead in rest.dead)]
            return rest

    patches.setattr(SavepointLogic, "run_batch", steps_over)
