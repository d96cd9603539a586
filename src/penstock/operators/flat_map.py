"""`flat_map`: none, one or several values for each record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.topology.node import function_slug


@dataclass(frozen=True, slots=True, eq=False)
class FlatMap(Operator):
    """Puts a record with each of the values that the function makes in the record's place, in their order."""

    kind = "flat-map"

    function: Callable[[Any], Iterable[Any]]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug("flat-map", self.function)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del task, place
        function = self.function

        def run(batch: AnyBatch) -> AnyBatch:
            values: list[Any] = []
            places: list[int] = []
            for i, value in enumerate(batch.values):
                made = list(function(value))
                values += made
                places += [i] * len(made)
            return batch.take(places).with_values(values)

        return run
