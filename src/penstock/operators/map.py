"""`map`: another value for each record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.topology.node import function_slug


@dataclass(frozen=True, slots=True, eq=False)
class Map(Operator):
    """Gives each record the value that the function makes of its own."""

    kind = "map"

    function: Callable[[Any], Any]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug("map", self.function)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del task, place
        function = self.function

        def run(batch: AnyBatch) -> AnyBatch:
            return batch.with_values(list(map(function, batch.values)))

        return run
