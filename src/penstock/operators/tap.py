"""`tap`: shows each value to a function and passes the record on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.topology.node import function_slug


@dataclass(frozen=True, slots=True, eq=False)
class Tap(Operator):
    """Calls the function for each value, once or more often: what it does outside is not part of any transaction."""

    kind = "tap"
    is_end = True

    function: Callable[[Any], object]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug("tap", self.function)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del task, place
        function = self.function

        def run(batch: AnyBatch) -> AnyBatch:
            for value in batch.values:
                function(value)
            return batch

        return run
