"""`join` and `left_join`: each record together with the table's value of its key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.columns import picked
from penstock.operators.entry import Entry
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.topology.node import AnyStore, function_slug


@dataclass(frozen=True, slots=True, eq=False)
class Join(Operator):
    """`function(value, the table's value now)`; without one, the record is left out, or for a left join gets None.

    A record without a key matches nothing. A later change of the table changes nothing that was joined before.
    """

    kind = "join"
    is_keyed = True

    function: Callable[[Any, Any], Any]
    spec: StoreSpec[Any, Entry[Any]] | None
    """The table's store; None only where it could not be made."""

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """The table's."""
        return () if self.spec is None else (self.spec,)

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug(self.kind, self.function)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del place
        lookup, function = _lookup(task.store(self.stores[0])), self.function

        def run(batch: AnyBatch) -> AnyBatch:
            found = list(map(lookup, batch.keys))
            matched = [entry is not None for entry in found]
            there = picked(batch, matched)
            pairs = zip(there.values, filter(None, found), strict=True)
            return there.with_values([function(value, entry[0]) for value, entry in pairs])

        return run


@dataclass(frozen=True, slots=True, eq=False)
class LeftJoin(Join):
    """As `Join`, with None where the table has nothing."""

    kind = "left-join"

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del place
        lookup, function = _lookup(task.store(self.stores[0])), self.function

        def run(batch: AnyBatch) -> AnyBatch:
            found = map(lookup, batch.keys)
            pairs = zip(batch.values, found, strict=True)
            return batch.with_values([function(value, None if entry is None else entry[0]) for value, entry in pairs])

        return run


def _lookup(store: Store[Any, Entry[Any]]) -> Callable[[Any], Entry[Any] | None]:
    get = store.get
    return lambda key: None if key is None else get(key)
