"""The engine, broken on purpose in one place each: what the simulation is worth is how many of these it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock.errors import TransactionAborted
from penstock.kafka.reader import Watermarks
from penstock.protocols import GroupMetadata, InputOffsets
from penstock.runtime.changelog_reader import PartitionReader
from penstock.runtime.commit import Committer
from penstock.runtime.inheritance import Inheritance
from penstock.runtime.intake import Intake
from penstock.runtime.restore import Restore
from penstock.runtime.staging import Staging
from penstock.runtime.task import Task
from penstock.runtime.worker import Worker
from penstock.state.task_state import TaskState
from penstock.testing.cluster.member import SimulatedMember
from penstock.testing.cluster.partition import SimulatedPartition
from penstock.testing.cluster.producer import SimulatedProducer
from penstock.testing.simulation.mutant import Mutant, Patch
from penstock.transactions.session import TransactionSession


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


# ---------------------------------------------------------------- transactions and offsets


def _no_offsets() -> Sequence[Patch]:
    return [(TransactionSession, "_send_offsets", _nothing)]


def _offsets_outside() -> Sequence[Patch]:
    def send_offsets(self: TransactionSession, offsets: InputOffsets) -> None:
        producer = self.producer
        assert isinstance(producer, SimulatedProducer)  # noqa: S101 - of the simulation
        group = producer.cluster.groups.group(str(offsets.group.opaque))
        group.offsets.commit(offsets.positions)

    return [(TransactionSession, "_send_offsets", send_offsets)]


def _offset_of_the_last_record() -> Sequence[Patch]:
    original = Task._next_offset  # noqa: SLF001 - a mutant looks inside

    def next_offset(self: Task, partition: tuple[str, int]) -> int:
        return max(self.committed.next_offsets[partition], original(self, partition) - 1)

    return [(Task, "_next_offset", next_offset)]


def _any_membership_is_live() -> Sequence[Patch]:
    return [(GroupMetadata, "is_live", property(lambda _: True))]


def _membership_of_the_first_commit() -> Sequence[Patch]:
    original = SimulatedMember.group_metadata
    kept: dict[int, GroupMetadata] = {}

    def group_metadata(self: SimulatedMember) -> GroupMetadata:
        now = original(self)
        return kept.setdefault(id(self), now) if now.is_live else now

    return [(SimulatedMember, "group_metadata", group_metadata)]


def _no_rotation() -> Sequence[Patch]:
    return [(TransactionSession, "doubt", lambda _: None)]


def _unknown_is_aborted() -> Sequence[Patch]:
    def settle(self: Worker, exc: Exception) -> None:
        self._discard(exc)

    return [(Worker, "_settle", settle)]


def _unknown_is_committed() -> Sequence[Patch]:
    return [(Committer, "settle", lambda _self, _tasks, timeout_s: bool(timeout_s))]


def _applied_before_the_commit() -> Sequence[Patch]:
    def commit(self: Committer, tasks: Sequence[Task], *, claim: bool = False) -> None:
        offsets: dict[tuple[str, int], tuple[int, str]] = {}
        for task in tasks:
            prepared = task.prepare(claim=claim)
            changelog = self._changelog_of(task.id)
            if changelog is not None:
                places = [task.id.partition] * len(prepared.keys)
                self._session.producer.produce(changelog, prepared.keys, prepared.values, partitions=places)
            for marks in prepared.marks:
                marks.hand_to(self._session.producer)
            offsets.update(prepared.offsets)
        self.apply(tasks)
        self._session.commit(lambda: InputOffsets(offsets, self._live_membership(tasks)))

    return [(Committer, "commit", commit)]


# ---------------------------------------------------------------- rolling back


def _overlay_kept() -> Sequence[Patch]:
    return [(TaskState, "discard", _nothing)]


def _no_seek() -> Sequence[Patch]:
    def rewind(self: Worker) -> None:
        self._must_rewind = False

    return [(Worker, "_rewind", rewind)]


def _buffers_kept() -> Sequence[Patch]:
    original = Task.discard

    def discard(self: Task) -> dict[tuple[str, int], int]:
        clear, self.buffer.clear = self.buffer.clear, _nothing  # type: ignore[method-assign]
        try:
            return original(self)
        finally:
            self.buffer.clear = clear  # type: ignore[method-assign]

    return [(Task, "discard", discard)]


def _chain_unchecked() -> Sequence[Patch]:
    def settle(self: Worker) -> None:
        """A rewind inside of a poll is made at once, and what the poll holds is taken all the same."""
        self._must_rewind = False

    return [(Intake, "_follow", _nothing), (Worker, "_rewind", settle)]


# ---------------------------------------------------------------- coming back


def _restored_to_the_last_stable_offset() -> Sequence[Patch]:
    def watermarks(self: PartitionReader) -> Watermarks:
        extent = self._extent.get()
        return Watermarks(extent.begin, extent.last_stable)

    return [(PartitionReader, "watermarks", watermarks)]


def _one_record_short() -> Sequence[Patch]:
    def watermarks(self: PartitionReader) -> Watermarks:
        extent = self._extent.get()
        return Watermarks(extent.begin, max(extent.begin, extent.high_watermark - 4))

    return [(PartitionReader, "watermarks", watermarks)]


def _start_at_the_end() -> Sequence[Patch]:
    return [(SimulatedMember, "end_offsets", _twice_the_end)]


def _twice_the_end(self: SimulatedMember, partition: tuple[str, int]) -> tuple[int, int]:
    end = self.cluster.partition(partition).last_stable_offset
    return end, end


def _nothing_is_compared() -> Sequence[Patch]:
    def compare(*_: object) -> None:
        """Whatever group and changelog say."""

    def watermarks(self: PartitionReader) -> Watermarks:
        extent = self._extent.get()
        return Watermarks(extent.begin, extent.last_stable)

    def positions(self: Inheritance) -> dict[tuple[str, int], int]:
        return {
            p: self._committed[p].next_offset if p in self._committed else self._first_offset(p) for p in self._sources
        }

    return [
        (Inheritance, "_compare", compare),
        (Inheritance, "_group_positions", positions),
        (PartitionReader, "watermarks", watermarks),
    ]


def _claim_skipped() -> Sequence[Patch]:
    def claim(self: Worker, tasks: list[Task]) -> None:
        for task in tasks:
            self._take_on(task, "ours")

    return [(Worker, "_claim", claim)]


def _unstable_offsets() -> Sequence[Patch]:
    original = Restore.step

    def step(self: Restore) -> object:
        return original(self)

    from penstock.testing.cluster.offsets import GroupOffsets  # noqa: PLC0415 - nobody else needs it

    fetch = GroupOffsets.fetch

    def unstable(self: GroupOffsets, partitions: Any, *, is_stable: bool) -> Mapping[tuple[str, int], Any]:
        del is_stable
        return fetch(self, partitions, is_stable=False)

    return [(Restore, "step", step), (GroupOffsets, "fetch", unstable)]


# ---------------------------------------------------------------- sharing, reading


def _given_away_and_kept() -> Sequence[Patch]:
    original = Worker._give_away  # noqa: SLF001 - a mutant looks inside

    def give_away(self: Worker, partitions: list[tuple[str, int]], *, may_come_back: bool = False) -> None:
        kept = dict(self._tasks)
        if may_come_back:
            original(self, partitions, may_come_back=may_come_back)
            return
        closers = {task_id: task.close for task_id, task in kept.items()}
        for task in kept.values():
            task.close = _nothing  # type: ignore[method-assign]
        original(self, partitions, may_come_back=False)
        for task_id, task in kept.items():
            task.close = closers[task_id]  # type: ignore[method-assign]
        self._tasks.update(kept)

    return [(Worker, "_give_away", give_away), (Committer, "_live_membership", _membership_only)]


def _membership_only(self: Committer, tasks: Sequence[Task]) -> GroupMetadata:
    """Whether we are a member is looked at, whether the tasks are ours is not."""
    del tasks
    group = self._membership.group_metadata()
    if not group.is_live:
        raise TransactionAborted("no member")
    return group


def _given_away_without_offsets() -> Sequence[Patch]:
    original = Committer.commit

    def commit(self: Committer, tasks: Sequence[Task], *, claim: bool = False) -> None:
        is_ours, session = self._is_ours, self._session

        def send(offsets: InputOffsets) -> None:
            kept = {place: each for place, each in offsets.positions.items() if is_ours(place)}
            if kept:
                session.producer.send_offsets(kept, offsets.group, 5.0)

        session._send_offsets = send  # type: ignore[method-assign]  # noqa: SLF001 - a mutant looks inside
        original(self, tasks, claim=claim)

    return [*_given_away_and_kept(), (Committer, "commit", commit)]


def _lost_is_not_discarded() -> Sequence[Patch]:
    live: Any = vars(Committer)["_live_membership"]
    is_lost = [False]

    def on_lost(self: Worker, partitions: list[tuple[str, int]]) -> None:
        is_lost[0] = True
        try:
            self.on_revoked(partitions)
        finally:
            is_lost[0] = False

    def membership(self: Committer, tasks: Sequence[Task]) -> GroupMetadata:
        found: GroupMetadata = _nobody(self, tasks) if is_lost[0] else live(self, tasks)
        return found

    return [(Worker, "on_lost", on_lost), (Committer, "_live_membership", membership)]


def _nobody(self: Committer, tasks: Sequence[Task]) -> GroupMetadata:
    del tasks
    return GroupMetadata(self._membership.group_metadata().opaque, -1, "")


def _read_uncommitted() -> Sequence[Patch]:
    original = SimulatedPartition.fetch

    def fetch(self: SimulatedPartition, offset: int, max_records: int, isolation: str) -> object:
        del isolation
        return original(self, offset, max_records, "read_uncommitted")

    return [
        (SimulatedPartition, "fetch", fetch),
        (SimulatedPartition, "last_stable_offset", property(lambda self: self.high_watermark)),
    ]


def _dead_letter_outside() -> Sequence[Patch]:
    original = Staging._dead_letter  # noqa: SLF001 - a mutant looks inside

    def dead_letter(self: Staging, *args: Any) -> None:
        producer = self._session.producer
        assert isinstance(producer, SimulatedProducer)  # noqa: S101 - of the simulation

        def produce(topic: str, keys: Any, values: Any, *, partitions: Any, headers: Any, timestamps_ms: Any) -> None:
            producer.cluster.append(
                topic,
                keys[0],
                values[0],
                partition=partitions[0],
                headers=headers[0],
                timestamp_ms=timestamps_ms[0] or None,
            )

        producer.produce = produce  # type: ignore[method-assign,assignment]
        try:
            original(self, *args)
        finally:
            del producer.produce

    return [(Staging, "_dead_letter", dead_letter)]


def _aborted_without_a_word() -> Sequence[Patch]:
    original = Worker._discard  # noqa: SLF001 - a mutant looks inside

    def discard(self: Worker, exc: Exception) -> None:
        if isinstance(exc, TransactionAborted) and "ILLEGAL" in str(exc):
            self._session.open()
            self._staging.reset()
            for task in self._touched():
                task.apply()
            return
        original(self, exc)

    return [(Worker, "_discard", discard)]


MUTANTS: Final = (
    Mutant("no offsets in the transaction", _no_offsets),
    Mutant("offsets beside the transaction", _offsets_outside),
    Mutant("the offset of the last record instead of the next one", _offset_of_the_last_record),
    Mutant("a membership of generation -1 is taken for a live one", _any_membership_is_live),
    Mutant("the membership of the first commit is used for all", _membership_of_the_first_commit),
    Mutant("no rotation after a doubt", _no_rotation),
    Mutant("an unknown commit is taken for aborted", _unknown_is_aborted),
    Mutant("an unknown commit is taken for committed", _unknown_is_committed),
    Mutant("state is applied before the commit", _applied_before_the_commit),
    Mutant("state is not rolled back", _overlay_kept),
    Mutant("no seek after a rollback", _no_seek),
    Mutant("buffers are kept at a rollback", _buffers_kept),
    Mutant("no seek after a rollback, and offsets are not followed", _chain_unchecked),
    Mutant("a restore reads to the last stable offset", _restored_to_the_last_stable_offset),
    Mutant("a restore ends too early", _one_record_short),
    Mutant("a new group starts at the end", _start_at_the_end),
    Mutant("group and changelog are not compared at a restore to the last stable offset", _nothing_is_compared),
    Mutant("no claim", _claim_skipped),
    Mutant("offsets are asked for while they are pending", _unstable_offsets),
    Mutant("tasks that were given away go on", _given_away_and_kept),
    Mutant("tasks that were given away go on, without their offsets", _given_away_without_offsets),
    Mutant("what is lost is committed, by no member", _lost_is_not_discarded),
    Mutant("input is read uncommitted", _read_uncommitted),
    Mutant("dead letters beside the transaction", _dead_letter_outside),
    Mutant("a refused generation is taken for a commit", _aborted_without_a_word),
)
