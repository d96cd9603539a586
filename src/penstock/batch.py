"""Batches: parallel lists, the unit of all work between poll and produce.

A batch comes from one source partition. Rows keep their place in it (`rows`) through branch, fan-out and merge, so that
any way of cutting the input into batches gives the same output, state and order as batches of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from penstock.record import Headers

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


def size_of(column: Sequence[bytes | None]) -> int:
    """Bytes in a column; None has none."""
    lengths: Any = map(len, column)  # type: ignore[arg-type]  # mostly there is no None in it, which costs half
    try:
        return int(sum(lengths))
    except TypeError:
        return sum(map(len, filter(None, column)))


@dataclass(slots=True)
class SourceBatch:
    """Records as they were read from one partition, in offset order.

    Attributes:
        topic: the source topic.
        partition: its partition.
        offsets: one per record; gaps are control records and what compaction removed.
        keys: as bytes.
        values: as bytes; None = tombstone.
        timestamps_ms: Kafka's, milliseconds since 1970 UTC.
        headers: per record; None where no record of the batch has any.
    """

    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps_ms: list[int]
    headers: list[Headers] | None = None
    _size_bytes: int | None = field(default=None, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        """Number of records."""
        return len(self.offsets)

    @property
    def size_bytes(self) -> int:
        """Of keys and values; looks at every record when it is asked for the first time."""
        if self._size_bytes is None:
            self._size_bytes = size_of(self.keys) + size_of(self.values)
        return self._size_bytes

    def headers_at(self, place: int) -> Headers:
        """Of one record; empty where it has none."""
        return () if self.headers is None else self.headers[place]

    def slice(self, start: int, stop: int) -> SourceBatch:
        """The records at places `start` to `stop`, the latter excluded."""
        return SourceBatch(
            self.topic,
            self.partition,
            self.offsets[start:stop],
            self.keys[start:stop],
            self.values[start:stop],
            self.timestamps_ms[start:stop],
            None if self.headers is None else self.headers[start:stop],
        )

    def take(self, places: Sequence[int]) -> SourceBatch:
        """The records at these places, in the order given."""
        return SourceBatch(
            self.topic,
            self.partition,
            [self.offsets[i] for i in places],
            [self.keys[i] for i in places],
            [self.values[i] for i in places],
            [self.timestamps_ms[i] for i in places],
            None if self.headers is None else [self.headers[i] for i in places],
        )


@dataclass(slots=True)
class Batch(Generic[K, V]):
    """Decoded records between two operators, as parallel lists.

    Attributes:
        rows: the place of each in the source batch it came from, ascending; a row may occur several times (fan-out).
        keys: decoded.
        values: decoded.
        timestamps_ms: Kafka's, of the input record each came from.
        event_times_ms: what the source's `timestamp=` gave, else Kafka's.
        headers: per record; None where no record of the batch has any.
    """

    rows: list[int]
    keys: list[K]
    values: list[V]
    timestamps_ms: list[int]
    event_times_ms: list[int]
    headers: list[Headers] | None = None

    def __len__(self) -> int:
        """Number of records."""
        return len(self.rows)

    def take(self, places: Sequence[int]) -> Batch[K, V]:
        """The records at these places, in the order given."""
        return Batch(
            [self.rows[i] for i in places],
            [self.keys[i] for i in places],
            [self.values[i] for i in places],
            [self.timestamps_ms[i] for i in places],
            [self.event_times_ms[i] for i in places],
            None if self.headers is None else [self.headers[i] for i in places],
        )

    def with_values(self, values: list[T]) -> Batch[K, T]:
        """The same records with other values, one per record."""
        return Batch(self.rows, self.keys, values, self.timestamps_ms, self.event_times_ms, self.headers)

    def with_keys(self, keys: list[T]) -> Batch[T, V]:
        """The same records under other keys, one per record."""
        return Batch(self.rows, keys, self.values, self.timestamps_ms, self.event_times_ms, self.headers)
