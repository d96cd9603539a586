"""The order of a task's inputs: by Kafka timestamp, waiting only while the broker says more is coming.

Without this the result of a join would depend on which partition happened to be fetched first (KIP-695). "Nothing more
is coming" means that the partition's end was reached at the current position: the client knows no lag, and its cached
watermark ignores open transactions.

A task that never processed a record of a stream reads its tables to their end first, whatever the timestamps: else a
table that was published after the stream would match nothing at the first start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Sequence

from penstock.batch import SourceBatch

Partition = tuple[str, int]


class MergeBuffer:
    """What a task has been given and not yet processed.

    Args:
        sources: its partitions; where timestamps are equal, earlier ones in this order go first.
        tables: those of them that are tables.

    Attributes:
        tables_first: whether nothing but tables is handed out until all of them are at their end.
    """

    def __init__(self, sources: Sequence[Partition], tables: Collection[Partition] = ()) -> None:
        self.tables_first = False
        self._tables = tables
        self._order = {partition: place for place, partition in enumerate(sources)}
        self._queues: dict[Partition, deque[_Waiting]] = {partition: deque() for partition in sources}
        self._counts: dict[Partition, int] = dict.fromkeys(sources, 0)
        self._bytes_each: dict[Partition, float] = dict.fromkeys(sources, 0.0)
        self._ends: dict[Partition, int] = {}

    def __len__(self) -> int:
        """Records buffered."""
        return sum(self._counts.values())

    def buffered(self, partition: Partition) -> int:
        """Records buffered of one partition."""
        return self._counts[partition]

    def oldest_ms(self, partition: Partition) -> int | None:
        """The timestamp of the next record of one partition; None where none is buffered."""
        queue = self._queues[partition]
        return queue[0].first_ms if queue else None

    def buffered_bytes(self, partition: Partition) -> int:
        """About the bytes of keys and values: by the mean of the last batches, so that taking costs nothing."""
        return int(self._counts[partition] * self._bytes_each[partition])

    def add(self, batch: SourceBatch) -> None:
        """Take records that were read."""
        partition = (batch.topic, batch.partition)
        self._queues[partition].append(_Waiting(batch))
        self._counts[partition] += len(batch)
        each = batch.size_bytes / len(batch)
        self._bytes_each[partition] = max(each, self._bytes_each[partition] / 2)
        self._ends.pop(partition, None)

    def mark_end(self, partition: Partition, next_offset: int) -> None:
        """The broker has no more of this partition now; what comes will be at this offset or behind it."""
        self._ends[partition] = next_offset

    def end(self, partition: Partition) -> int | None:
        """The end that was reached behind everything added; None where more may be there, or nobody said so."""
        return self._ends.get(partition)

    def clear(self) -> None:
        """Forget everything: positions are about to be sought."""
        for queue in self._queues.values():
            queue.clear()
        self._counts = dict.fromkeys(self._counts, 0)
        self._ends.clear()

    def next(self, max_records: int) -> SourceBatch | None:
        """The longest run from one partition that comes before everything else; None while one must be waited for."""
        heads = self._front()
        if not heads:
            return None
        heads.sort()
        chosen = heads[0][2]
        return self._take(chosen, max_records, heads[1][:2] if len(heads) > 1 else None)

    @property
    def is_ready(self) -> bool:
        """Whether `next` has something to hand out."""
        return bool(self._front())

    def _front(self) -> list[tuple[int, int, Partition]] | None:
        heads = self._heads(self._tables) if self.tables_first else None
        return heads or self._heads(self._queues)  # a table that must be waited for is waited for here as well

    def _heads(self, partitions: Iterable[Partition]) -> list[tuple[int, int, Partition]] | None:
        """What could come next: (timestamp, place in the order, partition). None while one must be waited for."""
        heads: list[tuple[int, int, Partition]] = []
        for partition in partitions:
            queue = self._queues[partition]
            if queue:
                heads.append((queue[0].first_ms, self._order[partition], partition))
            elif partition not in self._ends:
                return None
        return heads

    def _take(self, partition: Partition, max_records: int, rival: tuple[int, int] | None) -> SourceBatch:
        """At most `max_records` from the front, up to where the rival's head would come first."""
        queue = self._queues[partition]
        if rival is None:
            taken = queue[0].take(max_records, None)
        else:
            rival_ms, rival_place = rival
            taken = queue[0].take(max_records, rival_ms if self._order[partition] < rival_place else rival_ms - 1)
        if not queue[0]:
            queue.popleft()
        self._counts[partition] -= len(taken)
        return taken


class _Waiting:
    """A batch that may be taken in pieces."""

    def __init__(self, batch: SourceBatch) -> None:
        self._batch = batch
        self._start = 0
        self._is_ascending: bool | None = None  # nobody wants to know where there is no other input

    def __len__(self) -> int:
        """Records left."""
        return len(self._batch) - self._start

    @property
    def first_ms(self) -> int:
        """The timestamp of the first that is left."""
        return self._batch.timestamps_ms[self._start]

    def take(self, max_records: int, until_ms: int | None) -> SourceBatch:
        """The longest run from the front of records that are not younger than `until_ms`; at least one.

        Timestamps within a partition need not ascend; a record is compared by its own, in offset order, so a run ends
        at the first that is younger.
        """
        batch, start = self._batch, self._start
        stop = min(len(batch), start + max_records)
        if until_ms is not None:
            stop = max(start + 1, self._end_of_run(start, stop, until_ms))
        self._start = stop
        return batch if start == 0 and stop == len(batch) else batch.slice(start, stop)

    def _end_of_run(self, start: int, stop: int, until_ms: int) -> int:
        times = self._batch.timestamps_ms
        if self._is_ascending is None:
            self._is_ascending = times == sorted(times)
        if self._is_ascending:
            return bisect_right(times, until_ms, start, stop)
        return next((place for place in range(start, stop) if times[place] > until_ms), stop)
