"""A task's state as of a commit, for readers that are not the task: exact at any moment, also while a worker writes.

A changelog partition is a row of transactions, and the last record of each is its commit record. Reading may end
anywhere, in the middle of one too; so what stands behind the last commit record is kept back until its own arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from penstock.kafka.reader import RawRecord
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.commit_record import CommitRecord
from penstock.state.replay import Replay


class CommittedView:
    """Takes the records of one changelog partition, in offset order, read_committed.

    Args:
        changelog: name of the topic, for messages.
        partition: likewise.

    Attributes:
        committed_at: when the last commit record was written, by Kafka's timestamp; None before the first.
    """

    def __init__(self, changelog: str, partition: int) -> None:
        self._replay = Replay(changelog, partition, account=False)
        self._kept_back: list[RawRecord] = []
        self.committed_at: datetime | None = None

    @property
    def entries(self) -> Mapping[bytes, bytes]:
        """{changelog key: stored bytes} as of the last commit; a live view."""
        return self._replay.entries

    @property
    def last_commit(self) -> CommitRecord | None:
        """The last commit; None before the first."""
        return self._replay.last_commit

    @property
    def is_verified(self) -> bool:
        """Whether the entries have the digest that the last commit gives them."""
        return self._replay.digest_fits()

    def feed(self, records: Sequence[RawRecord]) -> None:
        """Take the next records.

        Raises:
            OperatorMustDecide: a record that penstock did not write, or a newer release did.
        """
        last = next((n for n in reversed(range(len(records))) if records[n].key == COMMIT_RECORD_KEY), None)
        if last is None:
            self._kept_back += records
            return
        whole = [*self._kept_back, *records[: last + 1]]
        self._kept_back = list(records[last + 1 :])
        self._replay.feed([r.key for r in whole], [r.value for r in whole], [r.offset or 0 for r in whole])
        self.committed_at = datetime.fromtimestamp((whole[-1].timestamp_ms or 0) / 1000, UTC)
