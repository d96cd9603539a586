"""`process`: the user's own function or class, with key, headers, time and stores."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast

from penstock.batch import Batch
from penstock.errors import BadRecord, ConfigurationError
from penstock.operators.context import Context
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.record import Headers, Record
from penstock.topology.node import AnyStore, code_slug

K = TypeVar("K")
V = TypeVar("V")
L = TypeVar("L")
W = TypeVar("W")
F = TypeVar("F", bound=Callable[..., Any])

AnyRecord = Record[Any, Any]
Handler = Callable[[AnyRecord, Context], "Iterable[AnyRecord] | None"]

_TRAITS: Final = "__penstock_processor__"


class Processor(Protocol[K, V, L, W]):
    """The shape of a processor class. `open(ctx)` and `close()` are called where there are such methods."""

    def process(self, record: Record[K, V], ctx: Context, /) -> Iterable[Record[L, W]]:
        """See `processor`."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessorTraits:
    """What `@processor` says about a function or class.

    Attributes:
        stores: the stores it uses.
    """

    stores: tuple[AnyStore, ...] = ()


def processor(*, stores: Sequence[AnyStore] = ()) -> Callable[[F], F]:
    """Declare the stores of a processor, so that the pipeline knows them before it starts.

    What it decorates stays what it is: a function `(record, ctx)` that yields records, or a class with such a method
    `process` and, if it likes, `open(ctx)` and `close()`. Every task has an instance of its own. None yielded = the
    record ends here; several = all go on, in this order; an exception = the record fails.

    It may run more than once for a record: what it does outside of its stores is not undone with the batch.

    Args:
        stores: everything that it asks `ctx.store(...)` for.
    """

    def mark(function_or_class: F) -> F:
        setattr(function_or_class, _TRAITS, ProcessorTraits(tuple(stores)))
        return function_or_class

    return mark


@dataclass(frozen=True, slots=True, eq=False)
class Process(Operator):
    """Runs a processor: a function, a class (one instance per task), or an object (one copy per task)."""

    kind = "process"
    is_end = True  # for its stores' sake, or for what it does outside
    changes_keys = True

    processor: Any

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """What the decorator declares."""
        traits: ProcessorTraits | None = getattr(self.processor, _TRAITS, None)
        return () if traits is None else traits.stores

    @property
    def suggested_name(self) -> str:
        """The processor's own name."""
        named = self.processor if hasattr(self.processor, "__name__") else type(self.processor)
        name = str(named.__name__)
        return "process" if name == "<lambda>" else code_slug(name)

    def problems(self) -> list[str]:
        """Neither function nor processor."""
        if callable(self.processor) or callable(getattr(self.processor, "process", None)):
            return []
        return [f"a {type(self.processor).__name__} is no processor: no function (record, ctx), no method process"]

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run; a class is instantiated and its `open` called."""
        context = Context(task, place.name, self.stores)
        handle = self._handler(task, context)

        def run(batch: AnyBatch) -> AnyBatch:
            return _processed(batch, handle, context, task, place)

        return run

    def _handler(self, task: TaskContext, context: Context) -> Handler:
        given = self.processor
        if not callable(getattr(given, "process", None)):
            return cast("Handler", given)
        instance = given() if isinstance(given, type) else copy.deepcopy(given)
        opening, closing = getattr(instance, "open", None), getattr(instance, "close", None)
        if opening is not None:
            opening(context)
        if closing is not None:
            task.closers.append(closing)
        return cast("Handler", instance.process)


def _processed(batch: AnyBatch, handle: Handler, context: Context, task: TaskContext, place: Place) -> AnyBatch:
    topic, partition, offsets = task.source.topic, task.source.partition, task.source.offsets
    out: AnyBatch = Batch([], [], [], [], [], [])
    headers: list[Headers] = []
    no_headers: Headers = ()
    columns = zip(batch.rows, batch.keys, batch.values, batch.timestamps_ms, batch.event_times_ms, strict=True)
    for place_in_batch, (row, key, value, timestamp_ms, event_time_ms) in enumerate(columns):
        record: AnyRecord = Record(
            key=key,
            value=value,
            headers=no_headers if batch.headers is None else batch.headers[place_in_batch],
            timestamp_ms=timestamp_ms,
            topic=topic,
            partition=partition,
            offset=offsets[row],
        )
        context.take(record, row, event_time_ms)
        for made in handle(record, context) or ():
            _check(made, record, place)
            out.rows.append(row)
            out.keys.append(made.key)
            out.values.append(made.value)
            out.timestamps_ms.append(timestamp_ms if made.timestamp_ms is None else made.timestamp_ms)
            out.event_times_ms.append(event_time_ms)
            headers.append(made.headers)
    context.take(None, 0, 0)
    out.headers = headers if any(headers) else None
    return out


def _check(made: object, record: AnyRecord, place: Place) -> None:
    """What a processor yields is foreign: refuse here what would fail later, where its record is not known any more."""
    if not isinstance(made, Record):
        raise BadRecord(
            f"'{place.name}' yielded a {type(made).__name__} instead of a penstock.Record", reason="no_record"
        )
    if place.keys_must_stay and made.key is not record.key and made.key != record.key:
        # No record's fault: the same code would put one key's records into several tasks.
        raise ConfigurationError(
            f"processor '{place.name}' gives records another key, and behind it stands an operator that needs all "
            "records of a key in one task; put .repartition(name=...) between the two"
        )
    stamp = made.timestamp_ms
    if stamp is not record.timestamp_ms and stamp is not None and not (type(stamp) is int and stamp >= 0):
        raise BadRecord(f"'{place.name}' yielded a timestamp_ms that is no time since 1970", reason="timestamp")
    if made.headers is not record.headers and not _are_headers(made.headers):
        raise BadRecord(
            f"'{place.name}' yielded headers that are no tuple of pairs of a name and bytes or None", reason="header"
        )


def _are_headers(headers: object) -> bool:
    if not isinstance(headers, tuple):
        return False
    pairs = cast("tuple[object, ...]", headers)
    return all(
        isinstance(pair, tuple)
        and len(cast("tuple[object, ...]", pair)) == 2
        and isinstance(pair[0], str)
        and (pair[1] is None or isinstance(pair[1], bytes))
        for pair in pairs
    )
