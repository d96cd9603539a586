"""The dead letters of a topic, from the beginning to the end of now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from penstock.deadletter.dead_letter import DeadLetter
from penstock.deadletter.dialects import read_letter
from penstock.errors import ServerUnreachable
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.reader import RawRecord, Reader

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
