"""`branch`: each record goes one of several ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.columns import picked
from penstock.operators.operator import AnyBatch, Fork, Operator, Place, TaskContext


@dataclass(frozen=True, slots=True, eq=False)
class Branch(Operator):
    """Sends each record the way of the first function that says yes to its value; the last way is the rest's."""

    kind = "branch"

    functions: tuple[Callable[[Any], Any], ...]

    @property
    def ports(self) -> int:
        """One per function, and the rest."""
        return len(self.functions) + 1

    def problems(self) -> list[str]:
        """A branch without a choice."""
        return [] if self.functions else ["branch needs at least one function"]

    def open(self, task: TaskContext, place: Place) -> Fork:
        """Ready to run."""
        del task, place
        functions = self.functions
        ways = range(len(functions) + 1)

        def way(value: Any) -> int:
            for number, function in enumerate(functions):
                if function(value):
                    return number
            return len(functions)

        def run(batch: AnyBatch) -> tuple[AnyBatch, ...]:
            chosen = list(map(way, batch.values))
            return tuple(picked(batch, [number == each for each in chosen]) for number in ways)

        return run
