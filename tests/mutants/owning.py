"""Breakages of who may write: memberships, claims, identities, partitions that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from penstock.protocols import GroupMetadata
from penstock.runtime import suspended
from penstock.runtime.commit import Committer
from penstock.runtime.merge import Partition
from penstock.runtime.opening import WorkerSurroundings
from penstock.runtime.task import Task
from penstock.runtime.worker import Worker
from penstock.testing.history import Kind
from penstock.topology.topology import Topology
from penstock.transactions.session import TransactionSession
from tests.mutants.mutant import Needs, mutant

Patches = pytest.MonkeyPatch


@mutant(
    "generation -1 accepted",
    "commits with a membership that is none, which the coordinator does not check, for partitions that it gave away",
    Needs.ZOMBIE,
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    patches.setattr(GroupMetadata, "is_live", property(lambda _self: True))


@mutant(
    "ownership unchecked",
    "commits for partitions that were given away; the coordinator checks the member, not what it owns",
    Needs.ZOMBIE | Needs.TAKEOVER,
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    def unchecked(self: Committer, tasks: Sequence[Task]) -> GroupMetadata:
        del tasks
        return self._membership.group_metadata()

    patches.setattr(Committer, "_live_membership", unchecked)


@mutant(
    "revoked partition processed",
    "keeps the tasks whose partitions were revoked, and commits for them; their ownership is not checked",
    Needs.TAKEOVER,
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    def keeps(self: Worker, partitions: list[Partition], *, may_come_back: bool = False) -> None:
        del may_come_back
        self._place.assigned.difference_update(partitions)

    def unchecked(self: Committer, tasks: Sequence[Task]) -> GroupMetadata:
        del tasks
        return self._membership.group_metadata()

    patches.setattr(Worker, "_give_away", keeps)
    patches.setattr(Committer, "_live_membership", unchecked)


@mutant(
    "revoked without offsets",
    "commits what is done when partitions go, and leaves its offsets out",
    Needs.TAKEOVER,
    Kind.TORN,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    revoked, send = Worker.on_revoked, TransactionSession._send_offsets

    def without(self: Worker, partitions: list[Partition]) -> None:
        session: Any = self._session
        session.leaves_out = True
        try:
            revoked(self, partitions)
        finally:
            session.leaves_out = False

    def perhaps(self: TransactionSession, offsets: Any) -> None:
        if not vars(self).get("leaves_out"):
            send(self, offsets)

    patches.setattr(Worker, "on_revoked", without)
    patches.setattr(TransactionSession, "_send_offsets", perhaps)


@mutant(
    "claim skipped",
    "reads and commits without having claimed its tasks",
    Needs.TAKEOVER,
    Kind.DUAL_WRITER,
)
def _(patches: Patches) -> None:
    def takes(self: Worker, tasks: list[Task]) -> None:
        for task in tasks:
            self._take_on(task, "taken")

    patches.setattr(Worker, "_claim", takes)


@mutant(
    "random transactional id",
    "has another transactional.id in every life, so that nobody ends what the last one left open or fences it",
    Needs.ZOMBIE | Needs.CRASH,
    Kind.DUAL_WRITER,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    lives = count()
    writer = WorkerSurroundings.writer

    def another(self: WorkerSurroundings, topology: Topology) -> str:
        return f"{writer(self, topology)}{next(lives)}"

    patches.setattr(WorkerSurroundings, "writer", another)


@mutant(
    "suspended task believed",
    "goes on with a task that an eager rebalance gave back, whoever had it meanwhile",
    Needs.TAKEOVER | Needs.STATE,
    Kind.DUPLICATE,
    Kind.STALE_RESTORE,
    Kind.OFFSET_REGRESSION,
    Kind.DUAL_WRITER,
)
def _(patches: Patches) -> None:
    patches.setattr(suspended, "is_still_ours", lambda _task, _committed: True)
