"""`merge`: several streams as one."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext


@dataclass(frozen=True, slots=True, eq=False)
class Merge(Operator):
    """Passes on what it is given: a node's inputs are merged by row before it runs, whatever it is."""

    kind = "merge"

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del task, place

        def run(batch: AnyBatch) -> AnyBatch:
            return batch

        return run
