"""The dead letters of a topic: as much of it as has to be read, to the end of now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from penstock.deadletter.dead_letter import DeadLetter
from penstock.deadletter.dialects import read_letter
from penstock.errors import ServerUnreachable
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.reader import RawRecord, Reader
from penstock.redrive.selection import MAX_OFFSET, Selection
from penstock.redrive.stretch import Sample, end_offset_until, first_offset_of, first_offset_since

_POLL_S: Final = 0.2
_BUDGET_S: Final = 30.0
_ALL: Final = Selection()

Place = tuple[str, int]


class DeadLetters:
    """Reads the committed records of one topic as dead letters; no group is joined, nothing is committed.

    Args:
        connection: the cluster.
        topic: it exists.
        partitions: which of it.
        selection: what is meant. Places that it leaves out are not read, nor what failed long before or behind its
            times; within these, all letters are given, and whoever asks has to look.
        client_id: for the brokers' logs.
        stall_s: so long may neither a record nor the end arrive.

    Attributes:
        total: offsets that were to be read when `read` began; control records and holes count.
        done: offsets behind which reading is.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        partitions: list[int],
        selection: Selection = _ALL,
        *,
        client_id: str = "penstock-dlq",
        stall_s: float = 30.0,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._partitions = partitions
        self._selection = selection
        self._client_id = client_id
        self._stall_s = stall_s
        self._stretches: dict[Place, tuple[int, int]] | None = None
        self.total = self.done = 0

    def newest(self, most: int) -> dict[int, int]:
        """{partition: where to begin to read} for so many letters of each, the last ones; see `stretch.py`.

        Raises:
            ServerUnreachable: a partition answers neither with records nor with its end.
        """
        with Reader(self._connection, client_id=self._client_id) as reader:
            return {
                at[1]: first_offset_of(begin, end, most, self._sample(reader, at, end))
                for at, (begin, end) in self._ends().items()
            }

    def read(self, starts: Mapping[int, int] | None = None) -> Iterator[list[DeadLetter]]:
        """Batches in offset order per partition, empty ones where nothing came in time.

        What is committed after the call began is left out.

        Args:
            starts: {partition: first offset to read}; the beginning where none is given.

        Raises:
            ServerUnreachable: a partition answers neither with records nor with its end.
        """
        ends = self._within()
        wanted = starts or {}
        first = {at: min(max(begin, wanted.get(at[1], 0)), end) for at, (begin, end) in ends.items()}
        self.total, self.done = sum(end - first[at] for at, (_, end) in ends.items()), 0
        open_ones = {at: end for at, (_, end) in ends.items() if first[at] < end}
        if not open_ones:
            return
        with Reader(self._connection, client_id=self._client_id) as reader:
            reader.assign({at: first[at] for at in open_ones})
            positions, moved_at_s = dict(first), time.monotonic()
            while open_ones:
                records = reader.poll(_POLL_S)
                yield [_letter(record) for record in records if (record.offset or 0) < ends[_place(record)][1]]
                for at, end in list(open_ones.items()):
                    position = min(reader.position(*at) or first[at], end)
                    if position > positions[at]:
                        self.done += position - positions[at]
                        positions[at], moved_at_s = position, time.monotonic()
                    if position >= end:
                        del open_ones[at]
                if open_ones and time.monotonic() - moved_at_s > self._stall_s:
                    waiting = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(open_ones))
                    raise ServerUnreachable(
                        f"{waiting}: neither a record nor the end for {self._stall_s:.0f} s; no leader?"
                    )

    # ------------------------------------------------------------ what has to be read

    def _ends(self) -> dict[Place, tuple[int, int]]:
        """{partition: (first offset, behind the last)} of what is there now and stands at a place that is meant."""
        admin = Admin(self._connection, budget_s=_BUDGET_S)
        places = [(self._topic, partition) for partition in self._partitions]
        begins, ends = admin.begin_offsets(places), admin.end_offsets(places, "read_committed")
        first, behind = self._selection.span
        return {at: _cut(begins[at], ends[at], first, behind) for at in places}

    def _within(self) -> dict[Place, tuple[int, int]]:
        """The same without what failed at another time. That is looked for once: what comes later is only newer."""
        ends, since_ms, until_ms = self._ends(), self._selection.since_ms, self._selection.until_ms
        if since_ms is None and until_ms is None:
            return ends
        if self._stretches is None:
            with Reader(self._connection, client_id=self._client_id) as reader:
                self._stretches = {at: self._stretch(reader, at, *ends[at]) for at in ends}
        return {at: _cut(*ends[at], *self._stretches[at]) for at in ends}

    def _stretch(self, reader: Reader, at: Place, begin: int, end: int) -> tuple[int, int]:
        since_ms, until_ms = self._selection.since_ms, self._selection.until_ms
        sample, first, behind = self._sample(reader, at, end), begin, end
        if until_ms is not None:
            behind = end_offset_until(begin, end, until_ms, sample)
        if since_ms is not None:
            first = first_offset_since(begin, behind, since_ms, sample)
        return first, MAX_OFFSET if behind == end else behind

    def _sample(self, reader: Reader, at: Place, end: int) -> Sample:
        return partial(self._letters, reader, at, end)

    def _letters(self, reader: Reader, at: Place, end: int, offset: int, most: int) -> list[DeadLetter]:
        """The first letters of a partition from an offset on, at most so many; fewer where it ends before."""
        reader.assign({at: offset})
        letters: list[DeadLetter] = []
        position, moved_at_s = offset, time.monotonic()
        while len(letters) < most and position < end:
            letters += [_letter(record) for record in reader.poll(_POLL_S, most - len(letters))]
            now = reader.position(*at) or offset
            if now > position:
                position, moved_at_s = now, time.monotonic()
            elif time.monotonic() - moved_at_s > self._stall_s:
                raise ServerUnreachable(f"{at[0]}[{at[1]}]: no record for {self._stall_s:.0f} s; no leader?")
        return letters


def _cut(begin: int, end: int, first: int, behind: int) -> tuple[int, int]:
    """What is left of one stretch in another; empty at its begin where nothing is."""
    left = max(begin, first), min(end, behind)
    return left if left[0] < left[1] else (begin, begin)


def _place(record: RawRecord) -> Place:
    return record.topic or "", record.partition or 0


def _letter(record: RawRecord) -> DeadLetter:
    topic, partition = _place(record)
    return read_letter(
        topic,
        partition,
        record.offset or 0,
        key=record.key,
        value=record.value,
        headers=record.headers,
        timestamp_ms=record.timestamp_ms,
    )
