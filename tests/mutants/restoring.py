"""Breakages of how a task comes back: what is read of its changelog or its checkpoint, where it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from penstock.errors import KafkaUnavailable
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.reader import Watermarks
from penstock.runtime.changelog_reader import PartitionReader
from penstock.runtime.inheritance import Inheritance
from penstock.runtime.merge import Partition
from penstock.runtime.restore import Restore, Restored
from penstock.runtime.task import PreparedTask, Task, TaskId
from penstock.runtime.task_factory import TaskFactory
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.replay import Replay
from penstock.state.task_state import TaskState
from penstock.testing.cluster.offsets import GroupOffsets, OffsetMarker
from penstock.testing.cluster.partition import Kind as Stands
from penstock.testing.cluster.reading import SimulatedGroupQuestions
from penstock.testing.history import Kind
from tests.mutants.mutant import mutant

Patches = pytest.MonkeyPatch
Sources = tuple[Partition, ...]
Offsets = Mapping[Partition, Committed]


def without_digest(patches: Patches) -> None:
    """The second guard of every restore."""
    patches.setattr(Replay, "digest_fits", lambda _self: True)


def without_comparison(patches: Patches) -> None:
    """The third: commit record and offsets say the same."""
    patches.setattr(Inheritance, "_compare", lambda _self, _record, _recorded, _spoken_of: None)


def a_change_is_not_shown(patches: Patches) -> None:
    """Whoever reads a changelog is not shown the last change in it, as a broken log or client would have it."""
    feed = Replay.feed

    def later(self: Replay, keys: Sequence[Any], values: Sequence[Any], offsets: Sequence[int]) -> None:
        held: Any = vars(self).setdefault("held", [])
        for row in zip(keys, values, offsets, strict=True):
            if row[0] != COMMIT_RECORD_KEY:
                held.append(row)
            else:
                feed(self, [row[0]], [row[1]], [row[2]])
        while len(held) > 1:
            key, value, offset = held.pop(0)
            after = self.next_offset
            feed(self, [key], [value], [offset])
            self.next_offset = max(after, self.next_offset)

    patches.setattr(Replay, "feed", later)


@mutant(
    "digest unchecked",
    "does not compare the digest of what it has restored; beside it, a change in the changelog is not shown",
    Kind.STALE_RESTORE,
    Kind.WRONG_VALUE,
    mishap=a_change_is_not_shown,
)
def _(patches: Patches) -> None:
    without_digest(patches)


@mutant(
    "one record short",
    "ends a restore some records before the end of the changelog; neither digest nor offsets are compared",
    Kind.STALE_RESTORE,
    Kind.OFFSET_REGRESSION,
    Kind.DUPLICATE,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    def short(self: PartitionReader) -> Watermarks:
        extent = self._extent.get()
        return Watermarks(extent.begin, max(extent.begin, extent.high_watermark - 4))

    without_digest(patches)
    without_comparison(patches)
    patches.setattr(PartitionReader, "watermarks", short)


@mutant(
    "restore to the last stable offset",
    "takes a changelog for read where nothing more is shown, though a transaction is open there; nothing is compared",
    Kind.STALE_RESTORE,
    Kind.DUPLICATE,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    def to_what_is_stable(self: PartitionReader) -> Watermarks:
        extent = self._extent.get()
        return Watermarks(extent.begin, extent.last_stable)

    without_comparison(patches)
    patches.setattr(PartitionReader, "watermarks", to_what_is_stable)


def pending_offsets_are_told(patches: Patches) -> None:
    """Whoever asks for offsets is told what was committed last, as by brokers before Kafka 2.5 (KIP-447)."""
    fetch = GroupOffsets.fetch

    def unstable(self: GroupOffsets, partitions: Iterable[Partition], *, is_stable: bool) -> Mapping[Any, Committed]:
        del is_stable
        return fetch(self, partitions, is_stable=False)

    patches.setattr(GroupOffsets, "fetch", unstable)


@mutant(
    "pending offsets not waited for",
    "begins where the group was before a transaction that is decided and not over; the changelog is not compared",
    Kind.DUPLICATE,
    Kind.OFFSET_REGRESSION,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    without_comparison(patches)
    pending_offsets_are_told(patches)


class CommitBetween:
    """Lets a restore see a commit of the owner before between its two questions, the group and the changelog.

    Whichever it asks first is answered as of before that commit. Brokers since Kafka 2.5 refuse the commit, by its
    generation (KIP-447); before, nothing but the order of the questions stood against it.

    Args:
        view: of the worker that restores.
        changelog: of the task.
    """

    def __init__(self, view: SimulatedGroupQuestions, changelog: PartitionReader) -> None:
        self._log = view._cluster.partition(changelog._partition)
        self._offsets = view._cluster.groups.group(view._group).offsets
        self._is_answered = False

    def committed(self, ask: Callable[[Sources], Offsets]) -> Callable[[Sources], Offsets]:
        def asked(sources: Sources) -> Offsets:
            found = ask(sources)
            before = self._offsets_before(sources)
            return before if self._is_first() and before else found

        return asked

    def watermarks(self, ask: Callable[[], Watermarks]) -> Callable[[], Watermarks]:
        def asked() -> Watermarks:
            marks = ask()
            return Watermarks(marks.begin, max(marks.begin, self._end_before())) if self._is_first() else marks

        return asked

    def _is_first(self) -> bool:
        was_answered, self._is_answered = self._is_answered, True
        return not was_answered

    def _offsets_before(self, sources: Sources) -> Offsets:
        """The committed offsets one commit ago; empty if there were none."""
        pending: dict[int, dict[Partition, Committed]] = {}
        seen: list[dict[Partition, Committed]] = [{}, {}]
        for entry in self._offsets.log:
            if isinstance(entry, OffsetMarker):
                changed = pending.pop(entry.producer_id, {})
                if changed and entry.is_commit:
                    seen.append(seen[-1] | changed)
            elif entry.partition in sources:
                told = Committed(entry.next_offset, entry.metadata)
                pending.setdefault(entry.producer_id, {})[entry.partition] = told
        return seen[-2]

    def _end_before(self) -> int:
        """Where the changelog ended before its last transaction."""
        markers = [entry.offset for entry in self._log.entries if entry.kind is not Stands.DATA]
        return markers[-2] + 1 if len(markers) > 1 else 0


def the_owner_before_commits_between(patches: Patches) -> None:
    """See `CommitBetween`; nothing is compared, so that the order of the questions stands alone."""
    make = TaskFactory.restore

    def troubled(self: TaskFactory, task_id: TaskId, sources: Sources) -> Restore:
        restore = make(self, task_id, sources)
        changelog: Any = restore._changelog
        view: Any = self._view
        if changelog is not None:
            between = CommitBetween(view, changelog)
            asks: Any = restore
            asks._ask_committed = between.committed(restore._ask_committed)
            changelog.watermarks = between.watermarks(changelog.watermarks)
        return restore

    without_comparison(patches)
    patches.setattr(TaskFactory, "restore", troubled)


@mutant(
    "end of the changelog before the group's offsets",
    "asks where the changelog ends before it asks where the group is; beside it, the owner before commits between the "
    "two, which brokers refuse by now, and nothing is compared",
    Kind.DUPLICATE,
    Kind.OFFSET_REGRESSION,
    Kind.STALE_RESTORE,
    mishap=the_owner_before_commits_between,
)
def _(patches: Patches) -> None:
    step = Restore.step

    def turned(self: Restore) -> Restored | None:
        changelog: Any = self._changelog
        if changelog is not None and "marks" not in vars(self):
            try:
                vars(self)["marks"] = marks = changelog.watermarks()
            except KafkaUnavailable:
                return None
            changelog.watermarks = lambda: marks
        return step(self)

    patches.setattr(Restore, "step", turned)


@mutant("start position latest", "begins at the end of a partition that the group never read", Kind.LOST)
def _(patches: Patches) -> None:
    def at_the_end(self: TaskFactory, source: Partition, extent: Extent) -> int:
        del self, source
        return extent.last_stable

    patches.setattr(TaskFactory, "_first_offset", at_the_end)


@mutant(
    "start position skips",
    "begins some records behind the first in a partition that the group never read",
    Kind.LOST,
)
def _(patches: Patches) -> None:
    positions = Inheritance._group_positions

    def further(self: Inheritance) -> dict[Partition, int]:
        found = positions(self)
        return {place: offset if place in self._committed else offset + 3 for place, offset in found.items()}

    patches.setattr(Inheritance, "_group_positions", further)


@mutant(
    "checkpoint before commit",
    "writes a checkpoint of what a transaction is about to commit; it is not compared with the group's offsets",
    Kind.DUPLICATE,
    Kind.STALE_RESTORE,
    Kind.OFFSET_REGRESSION,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    prepare, take = Task.prepare, TaskState.take_unsaved

    def with_what_is_prepared(self: TaskState) -> dict[bytes, bytes | None]:
        prepared = self._prepared
        ahead = {} if prepared is None else dict(zip(prepared.keys, prepared.values, strict=True))
        return {**take(self), **ahead}

    def early(self: Task, *, claim: bool = False) -> PreparedTask:
        prepared = prepare(self, claim=claim)
        if self._checkpoint is not None and prepared.record is not None:
            self._checkpoint.finish(prepared.record, 1.0)
        return prepared

    without_comparison(patches)
    patches.setattr(TaskState, "take_unsaved", with_what_is_prepared)
    patches.setattr(Task, "prepare", early)
