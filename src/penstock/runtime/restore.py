"""Bringing a task back: offsets, then changelog, then the comparison of both. In slices, between polls.

1. the group's committed offsets, stable ones: a pending transaction is waited out
2. *then* the changelog's high watermark as a read_uncommitted client sees it, and everything up to it as a
   read_committed one: to the last stable offset would be too little while a dead writer's transaction is open
3. the last commit record's offsets and sequence must be the group's, and the digest that of what was restored; what
   another topology has left is judged by `inheritance.py`

A local checkpoint shortens step 2; it is used only if everything in it fits. If step 3 fails with one, it is wiped and
the task restored once more from the changelog alone: a file never stops a task. And if the group says something else
by then, somebody has owned the task since step 1, while this worker stood still: it begins anew. Only what differs
twice, with nobody having committed in between, is for an operator.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from penstock.clock import Clock
from penstock.errors import KafkaUnavailable, OperatorMustDecide, ServerUnreachable
from penstock.kafka.consumer import Committed
from penstock.kafka.group_offsets import UnstableOffsets
from penstock.kafka.reader import Columns, Watermarks
from penstock.runtime.inheritance import Inheritance
from penstock.runtime.lineage import Lineage
from penstock.runtime.merge import Partition
from penstock.runtime.task import Progress, TaskId
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.state.checkpoint_file import Checkpoint
from penstock.state.checkpoint_rules import Reason, Rejected
from penstock.state.offset_metadata import parse
from penstock.state.replay import Replay
from penstock.state.task_state import TaskState

STALL_S = 90.0
_HELD_UP_S = 0.5
LOGGER = logging.getLogger("penstock.runtime")


class ChangelogReader(Protocol):
    """Reads one changelog partition."""

    def watermarks(self) -> Watermarks:
        """First offset and high watermark, the latter as a read_uncommitted client sees it."""
        ...

    def start(self, offset: int) -> None:
        """Read from here on, read_committed."""
        ...

    def poll(self) -> Columns:
        """The next records; empty when none came within a slice."""
        ...

    def position(self) -> int | None:
        """The next offset, control records stepped over; None before the first fetch."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Restored:
    """A task's state and place, in agreement with each other.

    Attributes:
        state: None for a task without stores.
        progress: as committed; offset None where the group has none yet.
        records: changelog records read.
        changelog_bytes: of these.
        checkpoint_bytes: keys and values that came from the checkpoint.
        rejected: why no checkpoint was used; None = one was, or the task has no state.
        checkpoint: where to write the next ones; None = nowhere. To be closed by whoever has the task.
        writers: who committed the task's offsets last, as `transactional.id`s.
    """

    state: TaskState | None
    progress: Progress
    records: int
    changelog_bytes: int
    checkpoint_bytes: int
    rejected: Reason | None = None
    checkpoint: TaskCheckpoint | None = None
    writers: frozenset[str] = frozenset()


class Restore:
    """One task's restore. `step` until it returns something.

    Args:
        task_id: for messages.
        sources: its partitions.
        committed: asks for the group's positions.
        first_offsets: asks where the sources begin for a group that never read them.
        changelog: reads the task's changelog; None for a task without stores.
        stored: the task's checkpoint, locked; None = it has none, or another process here has it.
        clock: for the stall time-out.
        lineage: what was deployed before; None = no other topology has ever run here.
    """

    def __init__(
        self,
        task_id: TaskId,
        sources: tuple[Partition, ...],
        *,
        committed: Callable[[tuple[Partition, ...]], Mapping[Partition, Committed]],
        first_offsets: Callable[[], Mapping[Partition, int]],
        changelog: ChangelogReader | None,
        stored: TaskCheckpoint | None,
        clock: Clock,
        lineage: Lineage | None = None,
    ) -> None:
        self.task_id = task_id
        self._sources = sources
        self._ask_committed = committed
        self._ask_first_offsets = first_offsets
        self._changelog = changelog
        self._stored = stored
        self._loaded: Checkpoint | Rejected | None = None
        self._clock = clock
        self._lineage = lineage
        self._committed: Mapping[Partition, Committed] | None = None
        self._first_offsets: Mapping[Partition, int] | None = None
        self._compared: Mapping[Partition, Committed] | None = None
        self._has_unstable_offsets = False
        self._replay: Replay | None = None
        self._checkpoint_bytes = 0
        self._end: int | None = None
        self._begin_at = 0
        self._position = 0
        self._moved_at_s = clock.monotonic_s()

    @property
    def progress(self) -> tuple[int, int] | None:
        """Offsets of the changelog that are read, and all that are to be; None before the end is known."""
        return None if self._end is None else (self._position - self._begin_at, self._end - self._begin_at)

    @property
    def has_unstable_offsets(self) -> bool:
        """Whether a pending transaction holds its offsets, as the last answer said."""
        return self._has_unstable_offsets

    @property
    def is_held_up(self) -> bool:
        """Whether it waits for something, rather than having much to read."""
        return self._has_unstable_offsets or self._clock.monotonic_s() - self._moved_at_s > _HELD_UP_S

    def step(self) -> Restored | None:
        """Do a little; None while there is more to do.

        Raises:
            OperatorMustDecide: offsets and changelog do not agree; both are named, and what accepts them.
            ServerUnreachable: nothing moved for `STALL_S`.
        """
        try:
            if self._committed is None:
                self._committed = self._ask_committed(self._sources)
                self._has_unstable_offsets = False
            if self._first_offsets is None:
                self._first_offsets = self._ask_first_offsets() if self._may_begin_anew(self._committed) else {}
            if self._changelog is None:
                inherited = self._inheritance().without_state()
                return Restored(None, inherited.progress, 0, 0, 0, writers=self._writers())
            if self._stored is not None and self._loaded is None:
                self._loaded = self._stored.load()
                if self._loaded is None:
                    self._check_stall(None)
                    return None
            if self._end is None:
                self._begin(self._changelog)
        except KafkaUnavailable as exc:
            self._has_unstable_offsets |= isinstance(exc, UnstableOffsets)
            self._check_stall(exc)
            return None
        if not self._read(self._changelog):
            return None
        try:
            return self._finish()
        except OperatorMustDecide as exc:
            self._try_once_more(exc)
            return None

    def close(self) -> None:
        """Let go of the connection, and of the checkpoint unless it went with what was restored."""
        if self._changelog is not None:
            self._changelog.close()
        if self._stored is not None:
            self._stored.close()
            self._stored = None

    # ------------------------------------------------------------ steps

    def _begin(self, changelog: ChangelogReader) -> None:
        marks = changelog.watermarks()
        if isinstance(self._loaded, Checkpoint) and self._loaded.header.changelog_next_offset > marks.end:
            self._without_checkpoint("topics", f"the changelog ends at {marks.end}, before what the checkpoint covers")
        group, partition = self.task_id.group, self.task_id.partition
        checkpoint = self._loaded if isinstance(self._loaded, Checkpoint) else None
        self._replay = Replay(
            f"the changelog of {group}", partition, checkpoint=checkpoint, account=self._stored is not None
        )
        entries: Mapping[bytes, bytes] = {} if checkpoint is None else checkpoint.entries
        self._checkpoint_bytes = sum(map(len, entries)) + sum(map(len, entries.values()))
        self._position = self._begin_at = max(marks.begin, self._replay.next_offset)
        self._end = marks.end
        if self._position < self._end:
            changelog.start(self._position)
        self._moved_at_s = self._clock.monotonic_s()

    def _try_once_more(self, exc: OperatorMustDecide) -> None:
        """What does not fit may be the fault of a checkpoint, or of an answer that is out of date; else raise."""
        if isinstance(self._loaded, Checkpoint):
            self._without_checkpoint("digest", str(exc))
        elif self._committed == self._compared:
            raise exc
        else:
            # Whoever stood still between the two answers sees the commits of the owner behind it; and whoever did so
            # while it read misses what these have replaced, once it is compacted away, so that the digest differs too.
            # Asked anew, the group either agrees, or says the same again.
            self._compared, self._committed, self._first_offsets = self._committed, None, None
            self._replay = self._end = None

    def _without_checkpoint(self, reason: Reason, detail: str) -> None:
        """Wipe it and begin anew, once: there is none then."""
        LOGGER.warning(
            "task %s: its checkpoint is wiped, the whole changelog is read instead: %s",
            self.task_id,
            detail,
            extra={"task": str(self.task_id)},
        )
        if self._stored is not None:
            self._stored.wipe()
        self._loaded = Rejected(reason, detail)
        self._replay = self._end = None

    def _read(self, changelog: ChangelogReader) -> bool:
        """Read a slice; whether the end is reached."""
        end, replay = self._end, self._replay
        assert end is not None  # noqa: S101 - set by _begin
        assert replay is not None  # noqa: S101 - likewise
        if self._position >= end:
            return True
        keys, values, offsets = changelog.poll()
        count = bisect_left(offsets, end)
        replay.feed(keys[:count], values[:count], offsets[:count])
        now = changelog.position()
        if now is not None and now > self._position:
            self._position = now
            self._moved_at_s = self._clock.monotonic_s()
        else:
            self._check_stall(None)
        return self._position >= end

    def _finish(self) -> Restored:
        replay = self._replay
        assert replay is not None  # noqa: S101 - set by _begin
        if not replay.digest_fits():
            raise DigestDiffers(self.task_id)
        inherited = self._inheritance().with_state(replay.last_commit)
        state = replay.state()
        if inherited.kept is not None:
            # With the claim, so that what was committed before it is whole, and nothing of it is left behind it.
            deleted = state.keep_only(inherited.kept)
            if deleted:
                LOGGER.warning(
                    "task %s: the code does not go on with all of its state; keys deleted: %s",
                    self.task_id,
                    f"{deleted:,}",
                )
        stored, self._stored = self._stored, None
        rejected = self._loaded.reason if isinstance(self._loaded, Rejected) else None
        return Restored(
            state,
            inherited.progress,
            replay.records,
            replay.bytes_fed,
            self._checkpoint_bytes,
            rejected,
            stored,
            self._writers(),
        )

    def _inheritance(self) -> Inheritance:
        firsts = self._first_offsets or {}
        return Inheritance(self.task_id, self._sources, self._committed or {}, firsts.__getitem__, self._lineage)

    def _may_begin_anew(self, committed: Mapping[Partition, Committed]) -> bool:
        """Whether some source may have to be read from where it begins: never read so far, or to be read again."""
        return self._lineage is not None or any(source not in committed for source in self._sources)

    def _writers(self) -> frozenset[str]:
        told = (parse(committed.metadata) for committed in (self._committed or {}).values())
        return frozenset(metadata.writer for metadata in told if metadata is not None)

    def _check_stall(self, exc: KafkaUnavailable | None) -> None:
        still_s = self._clock.monotonic_s() - self._moved_at_s
        if still_s > STALL_S:
            why = f"{exc}" if exc is not None else "a transaction is open in its changelog, or it has no leader"
            raise ServerUnreachable(
                f"task {self.task_id}: its restore stands still for {still_s:.0f} s: {why}"
            ) from exc


class DigestDiffers(OperatorMustDecide):
    """What was restored from the changelog is not what was committed."""

    def __init__(self, task: TaskId) -> None:
        super().__init__(
            f"task {task}: the state restored from its changelog does not have the digest of its last commit: records "
            "are missing, or were changed. Restore the changelog topic from a copy, or start the pipeline anew under "
            "another name"
        )
