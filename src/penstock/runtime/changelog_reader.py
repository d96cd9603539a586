"""One changelog partition on a real broker, for a restore: by a consumer that joins no group and commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from penstock.kafka.extents import Extent
from penstock.kafka.group_view import Asked
from penstock.kafka.polled import Partition
from penstock.kafka.reader import Columns, Watermarks
from penstock.runtime.clients import LogReader
from penstock.state import commit_record
from penstock.state.changelog import COMMIT_RECORD_KEY

# Several restores run at once, beside tasks that go on: none of them waits, and none may take all the memory.
_SLICE_RECORDS: Final = 2_000


class PartitionReader:
    """`restore.ChangelogReader` on Kafka; no call waits.

    The end is asked for as a read_uncommitted client sees it, and what is read is committed.

    Args:
        connect: makes a reader of what is committed.
        partition: of the changelog.
        extent: where the partition begins and ends.
    """

    def __init__(self, connect: Callable[[], LogReader], partition: Partition, extent: Asked[Extent]) -> None:
        self._connect = connect
        self._partition = partition
        self._extent = extent
        self._reader: LogReader | None = None

    def watermarks(self) -> Watermarks:
        """First offset and high watermark.

        Raises:
            KafkaUnavailable: ask again.
        """
        extent = self._extent.get()
        return Watermarks(extent.begin, extent.high_watermark)

    def start(self, offset: int) -> None:
        """Read from here on, read_committed; may be called again."""
        self.close()
        self._reader = self._connect()
        self._reader.assign({self._partition: offset})

    def poll(self) -> Columns:
        """The next records, those that are there."""
        return Columns([], [], []) if self._reader is None else self._reader.poll_columns(0.0, _SLICE_RECORDS)

    def position(self) -> int | None:
        """The next offset, control records stepped over; None before the first fetch."""
        return None if self._reader is None else self._reader.position(*self._partition)

    def close(self) -> None:
        """Let go of the connection."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class UncommittedTail:
    """The end of a changelog partition that is not committed: who was at work there when it died. No call waits.

    Args:
        reader: read_uncommitted, and this tail's own.
        partition: of the changelog.
        extent: from the last stable offset up to the high watermark.
    """

    def __init__(self, reader: LogReader, partition: Partition, extent: Extent) -> None:
        self._partition = partition
        self._end = extent.high_watermark
        self._found: set[str] = set()
        self._reader = reader
        self._reader.assign({partition: extent.last_stable})

    def writers(self) -> Collection[str] | None:
        """Who wrote the commit records there, of transactions that are open or over; None while it is being read."""
        for record in self._reader.poll(0.0, _SLICE_RECORDS):
            if record.key == COMMIT_RECORD_KEY and record.value is not None:
                topic, number = self._partition
                self._found.add(commit_record.decode(record.value, f"{topic}[{number}]@{record.offset}").writer)
        position = self._reader.position(*self._partition)
        return self._found if position is not None and position >= self._end else None

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()
