"""`filter`: keeps the records whose value passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.columns import picked
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.topology.node import function_slug


@dataclass(frozen=True, slots=True, eq=False)
class Filter(Operator):
    """Keeps the records for whose value the function says yes."""

    kind = "filter"

    function: Callable[[Any], Any]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug("filter", self.function)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del task, place
        function = self.function

        def run(batch: AnyBatch) -> AnyBatch:
            return picked(batch, list(map(function, batch.values)))

        return run
