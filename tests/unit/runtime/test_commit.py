"""What the log's answer means for a transaction in doubt, and what a commit refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from penstock.errors import TransactionAborted
from penstock.kafka.consumer import Committed
from penstock.protocols import GroupMetadata
from penstock.runtime.commit import Committer, TornTransaction
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.merge import Partition
from penstock.transactions.session import TransactionSession
from tests.unit.publishing.in_memory import ManualClock, Seen
from tests.unit.runtime.in_memory import Cluster, InMemoryProducer, metadata
from tests.unit.runtime.test_task import LEFT, RIGHT, a_task


class Membership:
    """What the group answers."""

    def __init__(self, sequences: dict[Partition, str], generation: int = 1) -> None:
        self.sequences, self.generation = sequences, generation

    def group_metadata(self) -> GroupMetadata:
        return GroupMetadata(None, self.generation, "me" if self.generation >= 0 else "")

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, Committed]:
        del timeout_s
        return {p: Committed(10, self.sequences[p]) for p in partitions if p in self.sequences}


def committer(membership: Membership, log: Cluster, hooks: WorkerHooks, ours: set[Partition]) -> Committer:
    session = TransactionSession(lambda: InMemoryProducer(log), clock=ManualClock(), hooks=hooks)
    session.open()
    session.begin()
    return Committer(session, membership, changelog_of=lambda _: "log", is_ours=ours.__contains__, hooks=hooks)


def settle(left: str, right: str) -> bool:
    asked = committer(Membership({LEFT: left, RIGHT: right}), Cluster({}), Seen(), {LEFT, RIGHT})
    return asked.settle([a_task()], 1.0)


@pytest.mark.parametrize(
    ("left", "right", "happened"),
    [(metadata(6), metadata(6), True), (metadata(5), metadata(5), False), (metadata(5, "p.9"), metadata(5), False)],
)
def test_the_log_decides(left: str, right: str, *, happened: bool) -> None:
    """The task is at 5; who wrote the last commit before ours does not matter."""
    assert settle(left, right) is happened


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (metadata(6), metadata(5)),  # half of it
        (metadata(5), metadata(6)),
        (metadata(7), metadata(7)),  # somebody went on
        (metadata(4), metadata(4)),  # somebody went back
        (metadata(6, "p.9"), metadata(6, "p.9")),  # the same number, another writer
        ("", ""),  # an operator's reset
        (metadata(6), ""),
    ],
)
def test_anything_else_is_torn(left: str, right: str) -> None:
    with pytest.raises(TornTransaction, match=r"left\[0\]"):
        settle(left, right)


def test_a_group_without_offsets_is_at_the_beginning_of_a_new_task_only() -> None:
    asked = committer(Membership({}), Cluster({}), Seen(), {LEFT, RIGHT})
    with pytest.raises(TornTransaction):
        asked.settle([a_task()], 1.0)


@pytest.mark.parametrize(("generation", "ours"), [(-1, {LEFT, RIGHT}), (1, {LEFT}), (1, set[Partition]())])
def test_neither_a_dead_membership_nor_a_partition_given_away_is_committed(
    generation: int, ours: set[Partition]
) -> None:
    """The broker would accept all of these."""
    log = Cluster({})
    asked = committer(Membership({}, generation), log, Seen(), ours)
    with pytest.raises(TransactionAborted, match="discarding"):
        asked.commit([a_task()])
    assert log.calls["offsets"] == log.calls["commit"] == 0


def test_the_steps_are_taken_in_their_order() -> None:
    """a-g; state is applied behind the commit, the membership read behind the flush."""
    hooks = Seen()
    task = a_task()
    committer(Membership({}), Cluster({}), hooks, {LEFT, RIGHT}).commit([task])
    order = ["changelog", "commit record", "flush", "metadata", "send offsets", "commit", "committed", "apply"]
    assert hooks.steps[-len(order) :] == order
    assert task.committed.sequence == 6


@pytest.mark.parametrize("call", ["produce", "flush", "offsets", "commit"])
def test_nothing_is_applied_unless_the_commit_is_answered(call: str) -> None:
    log = Cluster({}, faults={(call, 1): "unknown, done" if call == "commit" else "aborted"})
    task = a_task()
    with pytest.raises(Exception, match="planted"):
        committer(Membership({}), log, Seen(), {LEFT, RIGHT}).commit([task])
    assert task.committed.sequence == 5
