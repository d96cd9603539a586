"""`global_table`: a topic that every task sees whole, and the joins with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.columns import picked
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.topology.node import Source, function_slug


@dataclass(frozen=True, slots=True, eq=False)
class GlobalTableSource(Source):
    """Read by each worker for itself, outside of the group. It never runs: joins ask what it holds."""

    kind = "global-table"
    is_global = True


@dataclass(frozen=True, slots=True, eq=False)
class GlobalJoin(Operator):
    """`function(value, the table's value under the key that on gives)`; a record that matches nothing is left out."""

    kind = "global-join"

    function: Callable[[Any, Any], Any]
    table: str
    """The name of the table's node."""
    on: Callable[[Any], Any]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug(self.kind, self.function)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del place
        find, function, on = task.global_tables[self.table].find, self.function, self.on

        def run(batch: AnyBatch) -> AnyBatch:
            found = find(list(map(on, batch.values)))
            there = picked(batch, [value is not None for value in found])
            matches = (value for value in found if value is not None)
            return there.with_values(list(map(function, there.values, matches)))

        return run


@dataclass(frozen=True, slots=True, eq=False)
class GlobalLeftJoin(GlobalJoin):
    """As `GlobalJoin`, with None where the table has nothing."""

    kind = "global-left-join"

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del place
        find, function, on = task.global_tables[self.table].find, self.function, self.on

        def run(batch: AnyBatch) -> AnyBatch:
            return batch.with_values(list(map(function, batch.values, find(list(map(on, batch.values))))))

        return run
