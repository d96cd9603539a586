"""Breakages of the commit: what is written, which offsets go with it, what an answer is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from penstock.errors import TransactionAborted
from penstock.protocols import InputOffsets
from penstock.runtime import worker as worker_module
from penstock.runtime.commit import Committer
from penstock.runtime.merge import Partition
from penstock.runtime.task import PreparedTask, Task
from penstock.runtime.worker import Worker
from penstock.testing.cluster.producer import SimulatedProducer
from penstock.testing.history import Kind
from penstock.transactions.session import TransactionSession
from tests.mutants.mutant import mutant

Patches = pytest.MonkeyPatch


@mutant(
    "offset n",
    "commits the offset of the last record instead of the one behind it",
    Kind.DUPLICATE,
    Kind.TORN,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    whole = Task._next_offset

    def one_short(self: Task, partition: Partition) -> int:
        offset = whole(self, partition)
        return max(self.committed.next_offsets[partition], offset - 1)

    patches.setattr(Task, "_next_offset", one_short)


@mutant("offset n + 2", "commits an offset that is one too far", Kind.LOST, Kind.PHANTOM)
def _(patches: Patches) -> None:
    whole = Task._next_offset

    def one_too_far(self: Task, partition: Partition) -> int:
        offset = whole(self, partition)
        return offset + 1 if offset > self.committed.next_offsets[partition] else offset

    patches.setattr(Task, "_next_offset", one_too_far)


@mutant(
    "unknown taken for committed",
    "believes that a commit without an answer has happened",
    Kind.LOST,
    Kind.TORN,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    patches.setattr(worker_module, "was_committed", lambda tasks, _committer, _clock: bool(tasks))


@mutant(
    "unknown taken for aborted",
    "believes that a commit without an answer has not happened",
    Kind.DUPLICATE,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    patches.setattr(worker_module, "was_committed", lambda _tasks, _committer, _clock: False)


@mutant("abort taken for committed", "believes that a commit that was refused or given up has happened", Kind.LOST)
def _(patches: Patches) -> None:
    discard = Worker._discard

    def believes(self: Worker, exc: Exception) -> None:
        touched = self._touched()
        if isinstance(exc, TransactionAborted) and touched and all(task._prepared is not None for task in touched):
            self._session.open()
            self._staging.reset()
            for task in touched:
                task.apply()
            return
        discard(self, exc)

    patches.setattr(Worker, "_discard", believes)


@mutant(
    "no doubt rotation",
    "keeps its producer although a request of the last transaction may have been sent twice",
    Kind.TORN,
    Kind.OFFSET_REGRESSION,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    patches.setattr(TransactionSession, "doubt", lambda _self: None)


@mutant(
    "delivery errors ignored",
    "commits although some records of the transaction were not acknowledged; the client does not mind either",
    Kind.LOST,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    flush = SimulatedProducer.flush

    def deaf(self: SimulatedProducer, timeout_s: float) -> None:
        while True:
            try:
                return flush(self, timeout_s)
            except TransactionAborted:
                self._failure = None

    begin_call = SimulatedProducer._begin_call

    def lenient(self: SimulatedProducer, call: Any) -> None:
        if call == "flush" and not self._may:
            self._may = frozenset({"flush"})
        begin_call(self, call)

    patches.setattr(SimulatedProducer, "flush", deaf)
    patches.setattr(SimulatedProducer, "_begin_call", lenient)


@mutant(
    "offsets before the flush",
    "lets the offsets go before what they stand for is acknowledged; without transactions, nothing takes them back",
    Kind.LOST,
    Kind.SILENT_DROP,
)
def _(patches: Patches) -> None:
    commit = TransactionSession.commit

    def turned(self: TransactionSession, offsets: Any = None) -> None:
        send = vars(self.producer).get("_commit_offsets")  # of a producer without transactions
        if send is not None and offsets is not None:
            send(offsets().positions)
        commit(self, offsets)

    patches.setattr(TransactionSession, "commit", turned)


@mutant(
    "commit record first",
    "writes the commit record in front of the changes that it speaks of",
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
    "membership read once",
    "sends the membership of its first commit with all: the broker refuses each one after a rebalance, for ever",
    "left behind",
)
def _(patches: Patches) -> None:
    live = Committer._live_membership

    def first(self: Committer, tasks: Sequence[Task]) -> Any:
        now = live(self, tasks)
        return vars(self).setdefault("first_membership", now)

    patches.setattr(Committer, "_live_membership", first)


@mutant(
    "unchanged offsets left out",
    "commits the offsets that have moved, and none where none has: claims and what was parked have no offsets then",
    Kind.TORN,
    Kind.STALE_RESTORE,
)
def _(patches: Patches) -> None:
    prepare, send = Task.prepare, TransactionSession._send_offsets

    def moved(self: Task, *, claim: bool = False) -> PreparedTask:
        prepared = prepare(self, claim=claim)
        for place, (offset, _) in list(prepared.offsets.items()):
            if offset == self.committed.next_offsets[place] and self.committed.sequence:
                del prepared.offsets[place]
        return prepared

    def perhaps(self: TransactionSession, offsets: InputOffsets) -> None:
        if offsets.positions:
            send(self, offsets)

    patches.setattr(Task, "prepare", moved)
    patches.setattr(TransactionSession, "_send_offsets", perhaps)
