"""`join` and `left_join`: each record together with the table's value of its key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.columns import picked
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.state.entry import Entry
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
        store: Store[Any, Entry[Any]] = task.store(self.stores[0])
        function = self.function

        def run(batch: AnyBatch) -> AnyBatch:
            found = _rows(store, batch.keys)
            there = picked(batch, found)
            pairs = zip(there.values, filter(None, found), strict=True)
            return there.with_values([function(value, row[0]) for value, (_, row) in pairs])

        return run


@dataclass(frozen=True, slots=True, eq=False)
class LeftJoin(Join):
    """As `Join`, with None where the table has nothing."""

    kind = "left-join"

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del place
        store: Store[Any, Entry[Any]] = task.store(self.stores[0])
        function = self.function

        def run(batch: AnyBatch) -> AnyBatch:
            pairs = zip(batch.values, _rows(store, batch.keys), strict=True)
            return batch.with_values(
                [function(value, None if entry is None else entry[1][0]) for value, entry in pairs]
            )

        return run


def _rows(store: Store[Any, Entry[Any]], keys: list[Any]) -> list[tuple[bytes, Entry[Any]] | None]:
    """What the table has for each key."""
    if None not in keys:
        return list(map(store.entry, store.full_keys(keys)))
    there = iter(_rows(store, [key for key in keys if key is not None]))
    return [None if key is None else next(there) for key in keys]
