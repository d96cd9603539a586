"""What `aggregate`, `reduce` and `count` have in common: a value per key that each record changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext, no_key
from penstock.state.entry import Entry
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.topology.node import AnyStore


@dataclass(frozen=True, slots=True, eq=False)
class Folding(Operator):
    """Keeps a value per key and passes each new one on, stamped with the latest timestamp of what went into it."""

    is_keyed: ClassVar[bool] = True
    is_end: ClassVar[bool] = True

    spec: StoreSpec[Any, Entry[Any]] | None
    """None only where it could not be made; then the graph has a problem and never runs."""

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """Its own."""
        return () if self.spec is None else (self.spec,)

    @abstractmethod
    def functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        """What makes a value of a key's first record, and of the value before and another record."""

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        store: Store[Any, Entry[Any]] = task.store(self.stores[0])
        first, following = self.functions()

        def run(batch: AnyBatch) -> AnyBatch:
            if None in batch.keys:
                raise no_key(place)
            keys = store.full_keys(batch.keys)
            results, latest_ms = store.fold(keys, batch.values, batch.timestamps_ms, first, following)
            out = batch.with_values(results)
            out.timestamps_ms = latest_ms
            return out

        return run
