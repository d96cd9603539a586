"""What `aggregate`, `reduce` and `count` have in common: a value per key that each record changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.operators.entry import Entry
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext, no_key
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

        def begun(item: tuple[Any, int]) -> Entry[Any]:
            value, timestamp_ms = item
            return first(value), timestamp_ms

        def gone_on(entry: Entry[Any], item: tuple[Any, int]) -> Entry[Any]:
            before, before_ms = entry
            value, timestamp_ms = item
            # A call of `max` would cost as much as the rest.
            latest_ms = timestamp_ms if timestamp_ms > before_ms else before_ms  # noqa: FURB136
            return following(before, value), latest_ms

        def run(batch: AnyBatch) -> AnyBatch:
            if None in batch.keys:
                raise no_key(place)
            items = zip(batch.values, batch.timestamps_ms, strict=True)
            entries = store.fold(store.full_keys(batch.keys), items, begun, gone_on)
            out = batch.with_values([value for value, _ in entries])
            out.timestamps_ms = [timestamp_ms for _, timestamp_ms in entries]
            return out

        return run
