"""Breakages of who may write: memberships, claims, identities, partitions that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from penstock.protocols import GroupMetadata
from penstock.runtime import suspended
from penstock.runtime.commit import Committer
from penstock.runtime.merge import Partition
from penstock.runtime.opening import WorkerSurroundings
from penstock.runtime.takeover import Takeover
from penstock.runtime.task import Task
from penstock.runtime.worker import Worker
from penstock.testing.history import Kind
from penstock.topology.topology import Topology
from tests.mutants.mutant import mutant
from tests.mutants.restoring import pending_offsets_are_told
from tests.mutants.tearing import keeps_what_is_revoked

Patches = pytest.MonkeyPatch


def without_ownership(patches: Patches) -> None:
    """What a worker owns is not looked at before a commit; the coordinator checks the member only."""

    def unchecked(self: Committer, tasks: Sequence[Task]) -> GroupMetadata:
        del tasks
        return self._membership.group_metadata()

    patches.setattr(Committer, "_live_membership", unchecked)


@mutant(
    "generation -1 accepted",
    "commits with a membership that is none, which the coordinator does not check, for partitions that it gave away",
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    patches.setattr(GroupMetadata, "is_live", property(lambda _self: True))


@mutant(
    "lost partitions committed",
    "commits what is done for partitions that it has lost, as no member of the group",
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    live: Any = Committer._live_membership
    lost: list[bool] = []

    def on_lost(self: Worker, partitions: list[Partition]) -> None:
        lost.append(True)
        try:
            self.on_revoked(partitions)
        finally:
            lost.pop()

    def nobody(self: Committer, tasks: Sequence[Task]) -> Any:
        return GroupMetadata(self._membership.group_metadata().opaque, -1, "") if lost else live(self, tasks)

    patches.setattr(Worker, "on_lost", on_lost)
    patches.setattr(Committer, "_live_membership", nobody)


@mutant(
    "revoked partition processed",
    "keeps the tasks whose partitions were revoked, and commits for them; their ownership is not checked",
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    keeps_what_is_revoked(patches)
    without_ownership(patches)


@mutant("claim skipped", "reads and commits without having claimed its tasks", Kind.DUAL_WRITER)
def _(patches: Patches) -> None:
    def takes(self: Worker, tasks: list[Task]) -> None:
        for task in tasks:
            self._take_on(task, "taken")

    patches.setattr(Worker, "_claim", takes)


@mutant(
    "random transactional id",
    "has another transactional.id in each of its lives, so that what the one before has left open is not ended, nor "
    "does anybody else end it; beside it, brokers tell offsets that a transaction is about to change",
    Kind.DUPLICATE,
    Kind.DUAL_WRITER,
    Kind.OFFSET_REGRESSION,
    mishap=pending_offsets_are_told,
)
def _(patches: Patches) -> None:
    writer = WorkerSurroundings.writer
    lives: list[WorkerSurroundings] = []

    def another(self: WorkerSurroundings, topology: Topology) -> str:
        if not any(life is self for life in lives):
            lives.append(self)
        return f"{writer(self, topology)}-{next(n for n, life in enumerate(lives) if life is self)}"

    patches.setattr(WorkerSurroundings, "writer", another)
    patches.setattr(Takeover, "begin", lambda _self: None)
    patches.setattr(Takeover, "step", lambda _self, _restoring, _member_id: None)


@mutant(
    "suspended task believed",
    "goes on with a task that an eager rebalance gave back, whoever had it meanwhile",
    Kind.DUPLICATE,
    Kind.STALE_RESTORE,
    Kind.OFFSET_REGRESSION,
    Kind.DUAL_WRITER,
)
def _(patches: Patches) -> None:
    patches.setattr(suspended, "is_still_ours", lambda _task, _committed: True)
