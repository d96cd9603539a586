"""Reading a topic from somewhere to its end, or beyond it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from penstock.errors import ServerUnreachable, UsageError
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.reader import BEGINNING, END, Isolation, RawRecord, Reader

STALL_S = 15.0
"""So long may nothing arrive, neither records nor the end, before the reader gives up."""

Start = int | datetime
"""An offset, `BEGINNING`, `END`, or a moment."""


def start_of(text: str) -> Start:
    """What `--from` means.

    Raises:
        UsageError: it is no offset, no time and no word known.
    """
    if text in ("beginning", "end"):
        return BEGINNING if text == "beginning" else END
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise UsageError(
            f"--from {text}: give beginning, end, an offset as 17, or a time as 2026-01-31T12:00 (UTC)"
        ) from err
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class Tail:
    """The records of some partitions of a topic.

    Args:
        connection: the cluster.
        topic: it exists.
        partitions: at least one of them.
        start: of each partition; an offset that is no longer, or not yet, in the log moves to the nearest that is.
        isolation: `read_committed` ends at the last stable offset.
        follow: go on at the end, for ever.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        partitions: list[int],
        start: Start,
        *,
        isolation: Isolation,
        follow: bool,
    ) -> None:
        self._connection = connection
        self._partitions = [(topic, partition) for partition in partitions]
        self._start = start
        self._isolation: Isolation = isolation
        self._follow = follow

    def records(self, limit: int | None) -> Iterator[RawRecord]:
        """The records, in offset order per partition, `limit` at most.

        What is written after the call began is left out, unless `follow`.

        Raises:
            ServerUnreachable: a partition answers neither with records nor with its end.
        """
        return islice(self._all(), limit)

    def _all(self) -> Iterator[RawRecord]:
        admin = Admin(self._connection, budget_s=STALL_S)
        begins = admin.begin_offsets(self._partitions)
        ends = admin.end_offsets(self._partitions, self._isolation)
        with Reader(self._connection, isolation=self._isolation, client_id="penstock-peek") as reader:
            starts = self._starts(reader, begins, ends)
            open_ones = {at for at in self._partitions if self._follow or starts[at] < ends[at]}
            reader.assign({at: starts[at] for at in open_ones})
            moved_at = time.monotonic()
            while open_ones:
                records = reader.poll(0.2)
                for record in records:
                    at = (record.topic or "", record.partition or 0)
                    if self._follow or (record.offset or 0) < ends[at]:
                        yield record
                if records:
                    moved_at = time.monotonic()
                if self._follow:
                    continue
                open_ones = {at for at in open_ones - reader.at_end if (reader.position(*at) or 0) < ends[at]}
                if open_ones and time.monotonic() - moved_at > STALL_S:
                    waiting = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(open_ones))
                    raise ServerUnreachable(f"{waiting}: neither a record nor the end for {STALL_S:.0f} s; no leader?")

    def _starts(
        self, reader: Reader, begins: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]
    ) -> dict[tuple[str, int], int]:
        """{partition: first offset to read}."""
        if isinstance(self._start, datetime):
            found = reader.offsets_at(self._partitions, int(self._start.timestamp() * 1000))
            return {at: ends[at] if offset == END else offset for at, offset in found.items()}
        wanted = {BEGINNING: 0, END: max(ends.values())}.get(self._start, self._start)
        return {at: min(max(wanted, begins[at]), ends[at]) for at in self._partitions}
