"""From changelog records back to a task's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.errors import OperatorMustDecide
from penstock.state import commit_record
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY, prefix_of, split_key
from penstock.state.checkpoint_file import Checkpoint
from penstock.state.commit_record import CommitRecord
from penstock.state.task_state import TaskState


class Replay:
    """Folds the records of one changelog partition into committed state, in offset order, read_committed.

    Args:
        changelog: name of the topic, for messages.
        partition: likewise.
        checkpoint: where to begin; None = with nothing, at the start of the changelog.
        account: whether the state will be checkpointed, so that what the checkpoint lacks is kept account of.

    Attributes:
        last_commit: the last commit record seen; None before the first commit of all.
        next_offset: where in the changelog to go on reading.
        records: how many were fed.
        bytes_fed: their keys and values together.
    """

    def __init__(
        self, changelog: str, partition: int, *, checkpoint: Checkpoint | None = None, account: bool = True
    ) -> None:
        self._where = f"{changelog}[{partition}]"
        self._entries: dict[bytes, bytes] = {} if checkpoint is None else checkpoint.entries
        self._unsaved: dict[bytes, bytes | None] | None = {} if account else None
        self._prefixes: set[bytes] = set()  # of stores whose keys are ours
        # Kept up to date record by record, so that the comparison at the end holds nothing up. A checkpoint's own was
        # computed anew from its entries when it was loaded.
        self._digest = digests.EMPTY if checkpoint is None else digests.from_bytes(checkpoint.header.commit.digest)
        self.last_commit: CommitRecord | None = None if checkpoint is None else checkpoint.header.commit
        self.next_offset = 0 if checkpoint is None else checkpoint.header.changelog_next_offset
        self.records = 0
        self.bytes_fed = 0

    @property
    def entries(self) -> Mapping[bytes, bytes]:
        """What was folded so far; a live view."""
        return self._entries

    def feed(self, keys: Sequence[bytes | None], values: Sequence[bytes | None], offsets: Sequence[int]) -> None:
        """Take the next records, parallel lists.

        Raises:
            OperatorMustDecide: a record that penstock did not write, or a newer release did; the message says where.
        """
        entries, prefixes = self._entries, self._prefixes
        ours: list[bytes] = []
        before: list[bytes | None] = []
        now: list[bytes | None] = []
        for key, value, offset in zip(keys, values, offsets, strict=True):
            if key == COMMIT_RECORD_KEY and value is not None:
                self.last_commit = commit_record.decode(value, f"{self._where}@{offset}")
                continue
            own = key if key and prefix_of(key) in prefixes else self._first_of_its_store(key, offset)
            ours.append(own)
            before.append(entries.get(own))
            now.append(value)
            if value is None:
                entries.pop(own, None)
            else:
                entries[own] = value
        self._digest = digests.changed(self._digest, ours, before, now)
        if self._unsaved is not None:
            self._unsaved.update(zip(ours, now, strict=True))
        self.bytes_fed += sum(map(len, filter(None, keys))) + sum(map(len, filter(None, values)))
        self.records += len(keys)
        if offsets:
            self.next_offset = offsets[-1] + 1

    def _first_of_its_store(self, key: bytes | None, offset: int) -> bytes:
        """Look at a key as nobody has looked at its prefix yet."""
        try:
            store, _ = split_key(key or b"")
        except OperatorMustDecide as err:
            raise OperatorMustDecide(f"{self._where}@{offset}: {err}") from err
        if key is None or not store:
            raise OperatorMustDecide(
                f"{self._where}@{offset}: the commit record was deleted; find out what else writes to this topic"
            )
        self._prefixes.add(prefix_of(key))
        return key

    def digest_fits(self) -> bool:
        """Whether what was restored is what the last commit record speaks of; without one, whether it is nothing."""
        expected = digests.EMPTY if self.last_commit is None else digests.from_bytes(self.last_commit.digest)
        return self._digest == expected

    def state(self) -> TaskState:
        """The restored state; to be called last, and only if `digest_fits`."""
        return TaskState(self._entries, digest=self._digest, unsaved=self._unsaved)
