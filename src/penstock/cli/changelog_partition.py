"""One changelog partition for a command that has nothing else to do than to wait for it."""

from __future__ import annotations

from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.polled import Partition
from penstock.kafka.reader import RawRecord, Reader, Watermarks

_SLICE_S = 0.1


class ChangelogPartition:
    """`state_reading.RecordReader` on Kafka; its calls wait.

    Args:
        connection: the cluster.
        admin: asks it where the partition begins and ends.
        partition: of the changelog.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, admin: Admin, partition: Partition, client_id: str) -> None:
        self._connection = connection
        self._admin = admin
        self._partition = partition
        self._client_id = client_id
        self._reader: Reader | None = None

    def watermarks(self) -> Watermarks:
        """First offset and high watermark."""
        (begin,) = self._admin.begin_offsets([self._partition]).values()
        (end,) = self._admin.end_offsets([self._partition]).values()
        return Watermarks(begin, end)

    def stable_end(self) -> int:
        """The last stable offset: what a transaction that is open begins with, or the end."""
        (end,) = self._admin.end_offsets([self._partition], "read_committed").values()
        return end

    def start(self, offset: int) -> None:
        """Read from here on, read_committed."""
        self.close()
        self._reader = Reader(self._connection, client_id=self._client_id)
        self._reader.assign({self._partition: offset})

    def poll(self) -> list[RawRecord]:
        """The next records; empty when none came within a slice."""
        return [] if self._reader is None else self._reader.poll(_SLICE_S)

    def position(self) -> int | None:
        """The next offset, control records stepped over; None before the first fetch."""
        return None if self._reader is None else self._reader.position(*self._partition)

    def close(self) -> None:
        """Let go of the connection."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
