"""Breakages of the commit, of going back, and of what a commit in doubt is taken for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from penstock.protocols import InputOffsets
from penstock.runtime import worker as worker_module
from penstock.runtime.commit import Committer
from penstock.runtime.merge import Partition
from penstock.runtime.task import PreparedTask, Task
from penstock.runtime.worker import Worker
from penstock.state.task_state import PreparedCommit, TaskState
from penstock.testing.history import Kind
from penstock.transactions.session import TransactionSession
from tests.mutants.mutant import Needs, mutant

Patches = pytest.MonkeyPatch


@mutant(
    "offset n", "commits the offset of the last record instead of the one behind it", Needs.TAKEOVER, Kind.DUPLICATE
)
def _(patches: Patches) -> None:
    whole = Task._next_offset

    def one_short(self: Task, partition: Partition) -> int:
        offset = whole(self, partition)
        return max(self.committed.next_offsets[partition], offset - 1)

    patches.setattr(Task, "_next_offset", one_short)


@mutant("offset n + 2", "commits an offset that is one too far", Needs.TAKEOVER, Kind.LOST, Kind.PHANTOM)
def _(patches: Patches) -> None:
    whole = Task._next_offset

    def one_too_far(self: Task, partition: Partition) -> int:
        offset = whole(self, partition)
        return offset + 1 if offset > self.committed.next_offsets[partition] else offset

    patches.setattr(Task, "_next_offset", one_too_far)


@mutant(
    "offsets outside",
    "commits the offsets beside the transaction, before it",
    Needs.CRASH | Needs.ABORT,
    Kind.TORN,
    Kind.LOST,
)
def _(patches: Patches) -> None:
    live = Committer._live_membership

    def commits_by_itself(self: Committer, tasks: Sequence[Task]) -> Any:
        group = live(self, tasks)
        member: Any = self._membership
        prepared = [task._prepared for task in tasks]
        member.commit(
            {place: offset for each in prepared if each is not None for place, offset in each.offsets.items()}
        )
        return group

    patches.setattr(Committer, "_live_membership", commits_by_itself)
    patches.setattr(TransactionSession, "_send_offsets", lambda _self, _offsets: None)


@mutant("no offsets", "commits transactions without offsets", Needs.TAKEOVER, Kind.TORN, Kind.DUPLICATE)
def _(patches: Patches) -> None:
    patches.setattr(TransactionSession, "_send_offsets", lambda _self, _offsets: None)


@mutant(
    "offsets filtered to the assignment",
    "leaves the offsets of a partition that was given away out of the transaction, and commits the rest",
    Needs.ZOMBIE | Needs.TAKEOVER,
    Kind.TORN,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    def only_membership(self: Committer, tasks: Sequence[Task]) -> Any:
        del tasks
        session: Any = self._session
        session.is_ours_by_now = self._is_ours
        return self._membership.group_metadata()

    send = TransactionSession._send_offsets

    def filtered(self: TransactionSession, offsets: InputOffsets) -> None:
        is_ours: Callable[[Partition], bool] = vars(self)["is_ours_by_now"]
        kept = {place: offset for place, offset in offsets.positions.items() if is_ours(place)}
        if kept:
            send(self, InputOffsets(kept, offsets.group))

    patches.setattr(Committer, "_live_membership", only_membership)
    patches.setattr(TransactionSession, "_send_offsets", filtered)


@mutant(
    "overlay kept on abort",
    "leaves the state of a discarded transaction in place, and applies its inputs to it again",
    Needs.ABORT | Needs.STATE,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    def keeps(self: TaskState) -> None:
        self._prepared = None
        self._batch.clear()

    patches.setattr(TaskState, "discard", keeps)


@mutant(
    "no seek after abort",
    "goes on reading where it is after a transaction was discarded",
    Needs.ABORT,
    Kind.LOST,
)
def _(patches: Patches) -> None:
    def stays(self: Worker) -> None:
        self._must_rewind = False

    patches.setattr(Worker, "_rewind", stays)


@mutant(
    "store applied before commit",
    "makes a transaction's changes the committed state before Kafka has committed it",
    Needs.ABORT | Needs.STATE,
    Kind.DUPLICATE,
    Kind.WRONG_VALUE,
)
def _(patches: Patches) -> None:
    prepare, apply = TaskState.prepare, TaskState.apply

    def at_once(self: TaskState) -> PreparedCommit:
        prepared = prepare(self)
        apply(self)
        self._prepared = prepared
        return prepared

    def not_again(self: TaskState) -> int:
        prepared, self._prepared = self._prepared, None
        return 0 if prepared is None else len(prepared.keys)

    patches.setattr(TaskState, "prepare", at_once)
    patches.setattr(TaskState, "apply", not_again)


@mutant(
    "doubt taken for committed",
    "believes that a commit without an answer has happened",
    Needs.LOST_COMMIT,
    Kind.LOST,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    patches.setattr(worker_module, "was_committed", lambda tasks, _committer, _clock: bool(tasks))


@mutant(
    "doubt taken for aborted",
    "believes that a commit without an answer has not happened",
    Needs.DOUBT,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    patches.setattr(worker_module, "was_committed", lambda _tasks, _committer, _clock: False)


@mutant(
    "no doubt rotation",
    "keeps its producer although a request of the last transaction may have been sent twice",
    Needs.LATE_REQUEST,
    Kind.TORN,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    patches.setattr(TransactionSession, "doubt", lambda _self: None)


@mutant(
    "delivery errors ignored",
    "commits although some records of the transaction were not acknowledged",
    Needs.NOTHING,
    Kind.LOST,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    opened = TransactionSession.open

    def deaf(self: TransactionSession, budget_s: float | None = None) -> None:
        opened(self, budget_s)
        handle: Any = self.producer
        flush = handle.flush

        def silent(timeout_s: float) -> None:
            try:
                flush(timeout_s)
            except Exception as error:  # noqa: BLE001 - this is the breakage
                del error

        handle.flush = silent

    patches.setattr(TransactionSession, "open", deaf)


@mutant(
    "commit record first",
    "writes the commit record in front of the changes that it speaks of",
    Needs.STATE,
    Kind.TORN,
    Kind.STALE_RESTORE,
)
def _(patches: Patches) -> None:
    prepare = Task.prepare

    def turned(self: Task, *, claim: bool = False) -> PreparedTask:
        prepared = prepare(self, claim=claim)
        prepared.keys.insert(0, prepared.keys.pop()) if prepared.keys else None
        prepared.values.insert(0, prepared.values.pop()) if prepared.values else None
        return prepared

    patches.setattr(Task, "prepare", turned)


@mutant(
    "state outside",
    "commits outputs and offsets, and leaves the changes of the state out",
    Needs.STATE,
    Kind.LOST,
    Kind.WRONG_VALUE,
    Kind.STALE_RESTORE,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    prepare = Task.prepare

    def without(self: Task, *, claim: bool = False) -> PreparedTask:
        prepared = prepare(self, claim=claim)
        del prepared.keys[:-1], prepared.values[:-1]
        return prepared

    patches.setattr(Task, "prepare", without)
