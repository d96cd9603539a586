"""Partitions that come and go under a worker: what is committed of them, and what is not."""

from __future__ import annotations

from collections import Counter

import pytest

from penstock.errors import KafkaUnavailable, OperatorMustDecide
from penstock.kafka.consumer import Committed
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskId
from tests.unit.runtime.in_memory import running
from tests.unit.runtime.sums import A, B, cluster, sums, totals


def test_a_membership_that_is_none_commits_nothing() -> None:
    """The coordinator would take generation -1 without a look."""
    log = cluster()
    run = running(log, sums())
    while not run.worker.tasks:
        run.worker.step()
    committed = len(log.transactions)
    run.member.is_live = False
    for _ in range(5):
        run.worker.step()
        run.clock.now_s += 1
    assert len(log.transactions) == committed
    assert run.hooks.aborts
    run.member.is_live = True
    run.until_idle()
    assert log.values("out") == totals()


def test_revoked_partitions_are_committed_before_they_go() -> None:
    log = cluster(partitions=2)
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 4:
        run.worker.step()
    run.member.events.append(("revoked", [A]))
    run.worker.step()
    assert set(run.worker.tasks) == {TaskId("in", 1)}
    position = log.position_of(A)
    assert position
    assert len([v for t, _ in log.transactions for v in t if v.topic == "out" and v.key == b"k0"]) == position


def test_records_that_a_poll_holds_while_it_revokes_are_not_committed_as_done() -> None:
    """The callback runs when the poll has taken records that no task has seen yet."""
    log = cluster(rows=12)
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 2:
        run.worker.step()
    run.member.happens_behind_records = True
    run.member.events.append(("revoked", [A]))
    run.worker.step()
    position = log.position_of(A)
    assert position == len(log.values("out")) == 4
    run.member.events.append(("assigned", [A]))
    run.until_idle()
    assert log.values("out") == totals(12)


@pytest.mark.parametrize(
    ("is_behind_records", "trouble"),
    [
        pytest.param(False, None, id="by the group"),
        pytest.param(False, "planted", id="with a client that failed for good"),
        pytest.param(True, "planted", id="with such a client, behind its last records"),
    ],
)
def test_lost_partitions_commit_nothing(is_behind_records: bool, trouble: str | None) -> None:
    """Nor does what came with the poll that tells it; whoever is given them again goes on from the last commit."""
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 3:
        run.worker.step()
    committed = len(log.transactions)
    run.member.happens_behind_records = is_behind_records
    run.member.events.append(("lost", [A]))
    run.member.trouble = KafkaUnavailable(trouble) if trouble else None
    run.worker.step()
    assert not run.worker.tasks
    assert len(log.transactions) == committed
    run.member.events.append(("assigned", [A]))
    run.until_idle()
    run.worker.close()
    assert log.values("out") == totals()


def test_partitions_that_go_during_the_restore_leave_nothing_behind() -> None:
    log = cluster()
    run = running(log, sums())
    run.worker.step()
    run.member.events.append(("revoked", [A]))
    run.worker.step()
    assert not run.worker.tasks
    run.member.events.append(("assigned", [A]))
    run.until_idle()
    assert log.values("out") == totals()


def test_only_so_many_tasks_are_brought_back_at_a_time() -> None:
    """Each has a reader of its own, with threads and memory; the others wait for a place, and all come back."""
    log = cluster(partitions=10)
    run = running(log, sums(), WorkerLimits(max_restores=3))
    at_once: list[int] = []  # in memory, a restore takes one step
    for _ in range(6):
        before = run.hooks.steps.count("restore")
        run.worker.step()
        at_once.append(run.hooks.steps.count("restore") - before)
    assert [count for count in at_once if count] == [3, 3, 3, 1]
    run.until_idle()
    assert len(run.worker.tasks) == 10
    assert Counter(log.values("out")) == Counter(totals() * 10)


def test_a_task_that_is_back_is_claimed_although_another_cannot_come_back() -> None:
    """One group offset was rewound by hand; the worker ends, and what it could claim is claimed."""
    log = cluster(partitions=2)
    running(log, sums()).until_idle()
    claims = log.offsets[A].metadata
    log.offsets[B] = Committed(3, "")
    with pytest.raises(OperatorMustDecide, match=r"group is at in\[1\]=3, its changelog at in\[1\]=10"):
        running(log, sums()).until_idle()
    assert "oe=1" in claims
    assert "oe=2" in log.offsets[A].metadata
