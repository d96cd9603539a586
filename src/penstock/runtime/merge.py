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
        self._queues: dict[Partition, deque[SourceBatch]] = {partition: deque() for partition in sources}
        self._counts: dict[Partition, int] = dict.fromkeys(sources, 0)
        self._ends: dict[Partition, int] = {}

    def __len__(self) -> int:
        """Records buffered."""
        return sum(self._counts.values())

    def buffered(self, partition: Partition) -> int:
        """Records buffered of one partition."""
        return self._counts[partition]

    def add(self, batch: SourceBatch) -> None:
        """Take records that were read."""
        partition = (batch.topic, batch.partition)
        self._queues[partition].append(batch)
        self._counts[partition] += len(batch)
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
        heads = self._heads(self._tables) if self.tables_first else None
        if not heads:  # a table that must be waited for is waited for here as well
            heads = self._heads(self._queues)
        if not heads:
            return None
        heads.sort()
        chosen = heads[0][2]
        return self._take(chosen, max_records, heads[1][:2] if len(heads) > 1 else None)

    def _heads(self, partitions: Iterable[Partition]) -> list[tuple[int, int, Partition]] | None:
        """What could come next: (timestamp, place in the order, partition). None while one must be waited for."""
        heads: list[tuple[int, int, Partition]] = []
        for partition in partitions:
            queue = self._queues[partition]
            if queue:
                heads.append((queue[0].timestamps_ms[0], self._order[partition], partition))
            elif partition not in self._ends:
                return None
        return heads

    def _take(self, partition: Partition, max_records: int, rival: tuple[int, int] | None) -> SourceBatch:
        """At most `max_records` from the front, up to where the rival's head would come first."""
        queue = self._queues[partition]
        first = queue.popleft()
        stop = min(len(first), max_records)
        if rival is not None:
            stop = min(stop, self._run_length(first.timestamps_ms, partition, rival))
        if stop < len(first):
            queue.appendleft(first.slice(stop, len(first)))
            first = first.slice(0, stop)
        self._counts[partition] -= len(first)
        return first

    def _run_length(self, timestamps_ms: list[int], partition: Partition, rival: tuple[int, int]) -> int:
        """How many of these come before the rival's head. At least one: the first was chosen.

        Timestamps within a partition need not ascend; a record is compared by its own, in offset order, so a run ends
        at the first that the rival precedes.
        """
        rival_ms, rival_place = rival
        wins_ties = self._order[partition] < rival_place
        if timestamps_ms == sorted(timestamps_ms):
            return max(1, bisect_right(timestamps_ms, rival_ms if wins_ties else rival_ms - 1))
        for place, timestamp_ms in enumerate(timestamps_ms):
            if timestamp_ms > rival_ms or (timestamp_ms == rival_ms and not wins_ties):
                return max(1, place)
        return len(timestamps_ms)
