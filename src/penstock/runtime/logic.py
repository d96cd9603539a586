"""What a task does with its batches, as the task sees it."""

from __future__ import annotations

from typing import Protocol

from penstock.batch import SourceBatch
from penstock.runtime.parked import ParkedRecords
from penstock.runtime.spent import Spent
from penstock.runtime.staged import Staged
from penstock.runtime.stream_time import StreamTime
from penstock.runtime.verdict import Attempts, Verdict


class Logic(Protocol):
    """What a task does with a batch: the topology's part of it, made ready."""

    @property
    def time(self) -> StreamTime:
        """How far in event time it is."""
        ...

    @time.setter
    def time(self, time: StreamTime) -> None: ...

    @property
    def spent(self) -> Spent:
        """Where the time of a batch goes."""
        ...

    def run_batch(self, source: SourceBatch) -> Staged:
        """Run a batch on the task's state and accept it.

        Raises:
            RecordFailed: a record failed and its policy is to stop. The records before it are accepted; `staged` in the
                exception holds what they came to.
            RecordWaits: one is to be tried again later; likewise.
        """
        ...

    def retry(self, attempts: Attempts | None = None) -> tuple[SourceBatch, Staged] | None:
        """Try a parked record that is due.

        Args:
            attempts: told before it is touched; knows those that kill the process.

        Raises:
            RecordFailed: its policy is to stop.
        """
        ...

    @property
    def parked(self) -> ParkedRecords:
        """Its parked records."""
        ...

    def set_aside(self, source: SourceBatch, verdict: Verdict) -> Staged:
        """What becomes of one record whose outputs were refused; nothing runs for it.

        Raises:
            RecordFailed: its policy is to stop.
        """
        ...

    def close(self) -> None:
        """Close the processors."""
        ...
