"""Parked records: queues by key, in a task's own state, so that they are committed with its offsets and outputs.

When a record of a key fails, it becomes the head of the key's queue; later ones of the key join behind it, in order.
Only the head is ever tried. It succeeds, or is given up: the next one is the head. The last one leaves: the key goes.

No other copy of the queues is kept in memory: whoever rolls the state back rolls them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from penstock.batch import SourceBatch
from penstock.record import Headers
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import MAX_ENTRY_BYTES

_ENTRY_OVERHEAD_BYTES: Final = 1_024
_HEADER_OVERHEAD_BYTES: Final = 16
"""More than MessagePack puts around a name and a value."""


class ParkedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record as it was read; its key is the queue's.

    Attributes:
        offset: in its partition, which is the task's.
        timestamp_ms: Kafka's.
        value: as bytes; None = tombstone.
        headers: as they were read.
    """

    offset: int
    timestamp_ms: int
    value: bytes | None
    headers: Headers = ()

    @property
    def size_bytes(self) -> int:
        """About what it takes."""
        return len(self.value or b"") + sum(len(name) + len(value or b"") for name, value in self.headers)


class Queue(msgspec.Struct, frozen=True):
    """The queue of one key.

    Attributes:
        first: number of its head.
        behind: number that the next to join gets.
        size_bytes: of its records, about.
        due_ms: when the head is tried again, milliseconds since 1970 UTC.
        failures: of the head so far.
        first_failed_ms: when the head failed first.
        operator: where it failed last.
        exception: the class of what was raised.
        is_given_up: whether all that is in it goes to the dead letters, untried.
    """

    first: int
    behind: int
    size_bytes: int
    due_ms: int
    failures: int
    first_failed_ms: int
    operator: str = ""
    exception: str = ""
    is_given_up: bool = False

    @property
    def records(self) -> int:
        """How many are in it."""
        return self.behind - self.first


@dataclass(frozen=True, slots=True)
class ParkingLimits:
    """How much is parked of one input of a task; what exceeds it waits in front, with all that is behind it.

    Attributes:
        max_keys: keys.
        max_records_per_key: records of one of them.
        max_bytes_per_key: values and headers of these.
        max_bytes: of all keys together.
    """

    max_keys: int = 10_000
    max_records_per_key: int = 10_000
    max_bytes_per_key: int = 64 << 20
    max_bytes: int = 256 << 20


class ParkedCounts(NamedTuple):
    """How much is parked; but for the keys as of the last look at all queues, a tenth of a second ago.

    Attributes:
        keys: that wait.
        records: of these.
        size_bytes: of the records, about.
        oldest_ms: when the first of the heads failed first, milliseconds since 1970 UTC; None = nothing is parked.
    """

    keys: int = 0
    records: int = 0
    size_bytes: int = 0
    oldest_ms: int | None = None

    @staticmethod
    def of_all(parts: Iterable[ParkedCounts]) -> ParkedCounts:
        """Of these together."""
        each = list(parts)
        return ParkedCounts(
            sum(part.keys for part in each),
            sum(part.records for part in each),
            sum(part.size_bytes for part in each),
            min((part.oldest_ms for part in each if part.oldest_ms is not None), default=None),
        )


NOTHING_PARKED: Final = ParkedCounts()


class Head(NamedTuple):
    """The record of a key that is to be tried, and its queue."""

    key: bytes
    queue: Queue
    record: ParkedRecord


def parking_stores(name: str) -> tuple[StoreSpec[bytes, Queue], StoreSpec[tuple[bytes, int], ParkedRecord]]:
    """The stores for the parked records of an input of this name."""
    return (
        StoreSpec(f"parked-keys-{name}"[:63].rstrip("-"), key=bytes, value=Queue),
        StoreSpec(f"parked-{name}"[:63].rstrip("-"), key=tuple[bytes, int], value=ParkedRecord),
    )


class Parking:
    """The parked records of one input of one task.

    Args:
        topic: the input.
        partition: the task's.
        queues: by key.
        records: by key and number.
        limits: see there.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        queues: Store[bytes, Queue],
        records: Store[tuple[bytes, int], ParkedRecord],
        limits: ParkingLimits,
    ) -> None:
        self.topic = topic
        self._partition = partition
        self._queues = queues
        self._records = records
        self._limits = limits
        # Of all queues. Should the state be rolled back it is wrong until all of them are looked at the next time,
        # which is a tenth of a second away; a little more or less may be parked in between.
        self._size_bytes = 0
        self._count = 0
        self._oldest_ms: int | None = None

    @property
    def keys(self) -> int:
        """How many keys are parked."""
        return self._queues.count()

    @property
    def counts(self) -> ParkedCounts:
        """How much is parked."""
        keys = self.keys
        return ParkedCounts(keys, self._count, self._size_bytes, self._oldest_ms) if keys else NOTHING_PARKED

    def holds(self, key: bytes | None) -> bool:
        """Whether records of this key wait, so that one more must."""
        return key is not None and self._queues.get(key) is not None

    def has_room(self, key: bytes, records: Sequence[ParkedRecord]) -> bool:
        """Whether these records of one key may be parked."""
        if any(_most_bytes(key, record) > MAX_ENTRY_BYTES for record in records):
            return False
        queue = self._queues.get(key)
        if queue is None and self.keys >= self._limits.max_keys:
            return False
        count, size_bytes = (0, 0) if queue is None else (queue.records, queue.size_bytes)
        more_bytes = sum(record.size_bytes for record in records)
        return (
            count + len(records) <= self._limits.max_records_per_key
            and size_bytes + more_bytes <= self._limits.max_bytes_per_key
            and self._size_bytes + more_bytes <= self._limits.max_bytes
        )

    def park(self, key: bytes, record: ParkedRecord, queue: Queue) -> None:
        """It has failed, and is the head of a new queue."""
        self._size_bytes += record.size_bytes
        self._records.put((key, 0), record)
        self._queues.put(key, queue)

    def join(self, key: bytes, record: ParkedRecord) -> None:
        """It stands behind others of its key."""
        queue = self._queue(key)
        self._size_bytes += record.size_bytes
        self._records.put((key, queue.behind), record)
        size_bytes = queue.size_bytes + record.size_bytes
        self._queues.put(key, msgspec.structs.replace(queue, behind=queue.behind + 1, size_bytes=size_bytes))

    def due(self, now_ms: int) -> list[bytes]:
        """The keys whose heads are due, those first that have been for longest. Looks at every queue."""
        found: list[tuple[int, bytes]] = []
        self._size_bytes, self._count, self._oldest_ms = 0, 0, None
        for key, queue in self._queues.scan():
            self._size_bytes += queue.size_bytes
            self._count += queue.records
            self._oldest_ms = min(queue.first_failed_ms, self._oldest_ms or queue.first_failed_ms)
            if queue.due_ms <= now_ms:
                found.append((queue.due_ms, key))
        return [key for _, key in sorted(found)]

    def due_head(self, key: bytes, now_ms: int) -> Head | None:
        """The head of this key's queue; None where there is none, or it is not due."""
        queue = self._queues.get(key)
        if queue is None or queue.due_ms > now_ms:
            return None
        record = self._records.get((key, queue.first))
        if record is None:
            raise RuntimeError(f"a queue of {self.topic} without its head; please report this")
        return Head(key, queue, record)

    def leave(self, head: Head, now_ms: int, *, give_up_rest: bool = False) -> None:
        """The head is dealt with; the next one, if there is one, is due at once and has not failed yet."""
        key, queue, record = head
        self._size_bytes -= record.size_bytes
        self._records.delete((key, queue.first))
        if queue.records == 1:
            self._queues.delete(key)
            return
        self._queues.put(
            key,
            Queue(
                first=queue.first + 1,
                behind=queue.behind,
                size_bytes=queue.size_bytes - record.size_bytes,
                due_ms=now_ms,
                failures=0,
                first_failed_ms=now_ms,
                operator=queue.operator,
                exception=queue.exception,
                is_given_up=queue.is_given_up or give_up_rest,
            ),
        )

    def put_off(self, head: Head, queue: Queue) -> None:
        """The head has failed again; the queue as it is now."""
        self._queues.put(head.key, queue)

    def batch(self, head: Head) -> SourceBatch:
        """The head as it was read, a batch of its own."""
        record = head.record
        return SourceBatch(
            self.topic,
            self._partition,
            [record.offset],
            [head.key],
            [record.value],
            [record.timestamp_ms],
            [record.headers] if record.headers else None,
        )

    def listed(self) -> Iterator[tuple[bytes, Queue]]:
        """All queues, by key."""
        return self._queues.scan()

    def _queue(self, key: bytes) -> Queue:
        queue = self._queues.get(key)
        if queue is None:
            raise RuntimeError(f"no queue of {self.topic} for a key that is parked; please report this")
        return queue


def _most_bytes(key: bytes, record: ParkedRecord) -> int:
    """No less than its entry takes: what `put` then refuses would be nobody's to judge, and end the worker."""
    escaped = 2 * len(key)  # each zero byte of it takes two, and each character of a name up to four
    around = sum(3 * len(name) + _HEADER_OVERHEAD_BYTES for name, _ in record.headers)
    return escaped + record.size_bytes + around + _ENTRY_OVERHEAD_BYTES


def parked(source: SourceBatch, place: int) -> ParkedRecord:
    """The record at this place of a batch, to be parked."""
    headers: Headers = () if source.headers is None else source.headers[place]
    return ParkedRecord(source.offsets[place], source.timestamps_ms[place], source.values[place], headers)
