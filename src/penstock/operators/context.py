"""What a processor is told and may use beside its record."""

from __future__ import annotations

import logging
from collections.abc import Collection, MutableMapping
from typing import Any, TypeVar

from penstock.errors import ConfigurationError
from penstock.operators.operator import TaskContext
from penstock.record import Headers, Record
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.topology.node import AnyStore

K = TypeVar("K")
V = TypeVar("V")


class Context:
    """The surroundings of a processor: its stores, time, and where the record in hand comes from.

    One object per processor and task; what it says about the record holds until the next one. In `open` and `close`
    there is no record, and what is said of it fails.

    Attributes:
        pipeline: its name.
        name: of the processor's node.
        task: `group[partition]`.
        logger: gives every line the coordinates of the record in hand.
    """

    def __init__(self, task: TaskContext, name: str, stores: Collection[AnyStore]) -> None:
        self.pipeline = task.pipeline
        self.name = name
        self.task = f"{task.group}[{task.partition}]"
        self.logger = ContextLogger(self)
        self._task = task
        self._stores: dict[str, Store[Any, Any]] = {spec.name: task.store(spec) for spec in stores}
        self._record: Record[Any, Any] | None = None
        self._row = 0
        self._event_time_ms = 0

    def store(self, spec: StoreSpec[K, V]) -> Store[K, V]:
        """The store, as the record in hand sees it. Only what the processor declares.

        Raises:
            ConfigurationError: not declared; add it to `@processor(stores=[...])`.
        """
        store: Store[K, V] | None = self._stores.get(spec.name)
        if store is None or (store.spec is not spec and store.spec != spec):
            raise ConfigurationError(
                f"processor '{self.name}' asks for store '{spec.name}', which it does not declare in this form; "
                "add it to @processor(stores=[...])"
            )
        return store

    @property
    def topic(self) -> str:
        """Where the record was read."""
        return self._task.source.topic

    @property
    def partition(self) -> int:
        """Where the record was read."""
        return self._task.source.partition

    @property
    def offset(self) -> int:
        """Where the record was read."""
        return self._task.source.offsets[self._row]

    @property
    def headers(self) -> Headers:
        """The record's headers, penstock's own left out."""
        return self._in_hand.headers

    @property
    def timestamp_ms(self) -> int:
        """Kafka's timestamp of the record, milliseconds since 1970 UTC."""
        return self._in_hand.timestamp_ms or 0

    @property
    def event_time_ms(self) -> int:
        """When it happened: what the source's `timestamp=` gave, else Kafka's timestamp."""
        return self._event_time_ms

    @property
    def stream_time_ms(self) -> int:
        """The latest event time that this task has seen, up to and with this record. Never goes back.

        Behind `key_by` or `repartition`, the earliest of the stream times of the tasks in front of it, as far as they
        have said; while one of them has said nothing yet, -2**63, which is before everything.
        """
        return self._task.stream_times_ms[self._row]

    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970 UTC. A result that depends on it differs when the record is replayed."""
        return self._task.clock.now_ms()

    def idempotency_key(self) -> str:
        """`topic:partition:offset:seq`, another one at each call for a record, the same ones when it is replayed.

        For systems outside of the transaction, so that they can tell a repetition.
        """
        number = self._task.next_sequence(self._row)
        return f"{self.topic}:{self.partition}:{self.offset}:{number}"

    def coordinates(self) -> dict[str, object]:
        """Pipeline, task and, where a record is in hand, its topic, partition and offset: as logs carry them."""
        told: dict[str, object] = {"pipeline": self.pipeline, "task": self.task}
        if self._record is not None:
            told |= {"topic": self.topic, "partition": self.partition, "offset": self.offset}
        return told

    @property
    def _in_hand(self) -> Record[Any, Any]:
        if self._record is None:
            raise RuntimeError(f"processor '{self.name}': there is no record in hand in open() and close()")
        return self._record

    def take(self, record: Record[Any, Any] | None, row: int, event_time_ms: int) -> None:
        """Take the next record in hand; for the engine."""
        self._record, self._row, self._event_time_ms = record, row, event_time_ms


class ContextLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs as `penstock.processor.<name>`, with the coordinates of the record in hand beside the message."""

    def __init__(self, context: Context) -> None:
        super().__init__(logging.getLogger(f"penstock.processor.{context.name}"))
        self._context = context

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Add the coordinates."""
        kwargs["extra"] = {**self._context.coordinates(), **(kwargs.get("extra") or {})}
        return msg, kwargs
