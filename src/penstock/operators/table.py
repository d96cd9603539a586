"""`table`: a compacted topic as the latest value of each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext, no_key
from penstock.state.entry import Entry
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.topology.node import AnyStore, Source


@dataclass(frozen=True, slots=True, eq=False)
class TableSource(Source, Operator):
    """Reads a topic and keeps the latest value of each key; a null value deletes its key."""

    kind = "table"
    is_keyed = True

    spec: StoreSpec[Any, Entry[Any]] | None = None
    """None only where it could not be made; then the graph has a problem and never runs."""

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """Its own."""
        return () if self.spec is None else (self.spec,)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run; what it changes is passed on, for a stream made of the table."""
        store: Store[Any, Entry[Any]] = task.store(self.stores[0])

        def run(batch: AnyBatch) -> AnyBatch:
            if None in batch.keys:
                raise no_key(place)
            keys = store.full_keys(batch.keys)
            for key, value, timestamp_ms in zip(keys, batch.values, batch.timestamps_ms, strict=True):
                if value is None:
                    store.remove(key)
                else:
                    store.write(key, (value, timestamp_ms))
            return batch

        return run
