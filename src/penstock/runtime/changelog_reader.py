"""One changelog partition on a real broker, for a restore: by a consumer that joins no group and commits nothing."""

from __future__ import annotations

from penstock.kafka.client import Connection
from penstock.kafka.reader import RawRecord, Reader, Watermarks

_SLICE_S = 0.1


class PartitionReader:
    """`restore.ChangelogReader` on Kafka.

    Two consumers, because the end is asked for as a read_uncommitted client sees it and what is read must be committed.

    Args:
        connection: the cluster.
        topic: the changelog.
        partition: the task's.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, topic: str, partition: int, client_id: str) -> None:
        self._connection = connection
        self._place = (topic, partition)
        self._client_id = client_id
        self._reader: Reader | None = None

    def watermarks(self) -> Watermarks:
        """First offset and high watermark.

        Raises:
            KafkaUnavailable: ask again.
        """
        with Reader(self._connection, isolation="read_uncommitted", client_id=self._client_id) as asker:
            return asker.watermarks(*self._place)

    def start(self, offset: int) -> None:
        """Read from here on, read_committed; may be called again."""
        self.close()
        self._reader = Reader(self._connection, client_id=self._client_id)
        self._reader.assign({self._place: offset})

    def poll(self) -> list[RawRecord]:
        """The next records; empty when none came within a slice."""
        return [] if self._reader is None else self._reader.poll(_SLICE_S)

    def position(self) -> int | None:
        """The next offset, control records stepped over; None before the first fetch."""
        return None if self._reader is None else self._reader.position(*self._place)

    def close(self) -> None:
        """Let go of the connection."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
