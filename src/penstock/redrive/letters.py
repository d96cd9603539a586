"""The dead letters of a topic, from the beginning to the end of now."""

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
from penstock.redrive.newest import first_offset_of, first_offset_since

_POLL_S: Final = 0.2
_BUDGET_S: Final = 30.0


class DeadLetters:
    """Reads the committed records of one topic as dead letters; no group is joined, nothing is committed.

    Args:
        connection: the cluster.
        topic: it exists.
        partitions: which of it.
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
        *,
        client_id: str = "penstock-dlq",
        stall_s: float = 30.0,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._partitions = partitions
        self._client_id = client_id
        self._stall_s = stall_s
        self.total = self.done = 0

    def starts(self, *, since_ms: int | None = None, most: int | None = None) -> dict[int, int]:
        """{partition: where to begin to read} for who wants no older letters; see `newest.py`.

        Args:
            since_ms: those that failed at this time or later, milliseconds since 1970 UTC; None = of any time.
            most: so many of each partition, the last ones; None = all.

        Raises:
            ServerUnreachable: a partition answers neither with records nor with its end.
        """
        if since_ms is None and most is None:
            return {}
        admin = Admin(self._connection, budget_s=_BUDGET_S)
        places = [(self._topic, partition) for partition in self._partitions]
        begins, ends = admin.begin_offsets(places), admin.end_offsets(places, "read_committed")
        found: dict[int, int] = {}
        with Reader(self._connection, client_id=self._client_id) as reader:
            for at in places:
                sample = partial(self._sample, reader, at, ends[at])
                starts = [begins[at]]
                if since_ms is not None:
                    starts.append(first_offset_since(begins[at], ends[at], since_ms, sample))
                if most is not None:
                    starts.append(first_offset_of(begins[at], ends[at], most, sample))
                found[at[1]] = max(starts)
        return found

    def _sample(self, reader: Reader, at: tuple[str, int], end: int, offset: int, most: int) -> list[DeadLetter]:
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

    def read(self, starts: Mapping[int, int] | None = None) -> Iterator[list[DeadLetter]]:
        """Batches in offset order per partition, empty ones where nothing came in time.

        What is committed after the call began is left out.

        Args:
            starts: {partition: first offset to read}; the beginning where none is given.

        Raises:
            ServerUnreachable: a partition answers neither with records nor with its end.
        """
        places = [(self._topic, partition) for partition in self._partitions]
        admin = Admin(self._connection, budget_s=_BUDGET_S)
        begins, ends = admin.begin_offsets(places), admin.end_offsets(places, "read_committed")
        wanted = starts or {}
        first = {at: min(max(begins[at], wanted.get(at[1], 0)), ends[at]) for at in places}
        self.total, self.done = sum(ends[at] - first[at] for at in places), 0
        open_ones = {at for at in places if first[at] < ends[at]}
        if not open_ones:
            return
        with Reader(self._connection, client_id=self._client_id) as reader:
            reader.assign({at: first[at] for at in open_ones})
            positions, moved_at_s = dict(first), time.monotonic()
            while open_ones:
                records = reader.poll(_POLL_S)
                yield [_letter(record) for record in records if (record.offset or 0) < ends[_place(record)]]
                for at in list(open_ones):
                    position = min(reader.position(*at) or first[at], ends[at])
                    if position > positions[at]:
                        self.done += position - positions[at]
                        positions[at], moved_at_s = position, time.monotonic()
                    if position >= ends[at]:
                        open_ones.discard(at)
                if open_ones and time.monotonic() - moved_at_s > self._stall_s:
                    waiting = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(open_ones))
                    raise ServerUnreachable(
                        f"{waiting}: neither a record nor the end for {self._stall_s:.0f} s; no leader?"
                    )


def _place(record: RawRecord) -> tuple[str, int]:
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
