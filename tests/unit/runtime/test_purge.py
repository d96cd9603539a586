"""What is deleted from repartition topics, and what never is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.purge import Purge
from penstock.runtime.worker import Worker
from penstock.schemas.topic import Topic
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster, Running, running

BETWEEN = "p.moved.repartition"


class Call:
    """A call whose outcome the test decides."""

    def __init__(self, before: Mapping[Partition, int]) -> None:
        self.before = dict(before)
        self.result: dict[Partition, str | None] | None = None

    def outcome(self) -> dict[Partition, str | None] | None:
        return self.result


class Calls:
    """`purge.Deleter`."""

    def __init__(self) -> None:
        self.made: list[Call] = []

    def delete(self, before: Mapping[Partition, int]) -> Call:
        self.made.append(Call(before))
        return self.made[-1]


def worker_of(log: Cluster, limits: WorkerLimits | None = None) -> Running:
    made = Pipeline("p")
    made.stream(Topic("in", key=str, value=str)).repartition(name="moved").to(Topic("out", key=str, value=str))
    return running(log, made, limits)


def cluster() -> Cluster:
    return Cluster({("in", 0): [(n, b"k", b"%d" % n, n) for n in range(6)], (BETWEEN, 0): []})


def settled(run: Running, log: Cluster) -> Worker:
    while log.position_of((BETWEEN, 0)) != log.end((BETWEEN, 0)) or len(log.values("out")) < len(log.inputs["in", 0]):
        run.until_idle()
    return run.worker


def test_what_is_committed_is_deleted_and_the_users_topics_are_left_alone() -> None:
    log = cluster()
    worker = settled(worker_of(log), log)
    calls, clock = Calls(), ManualClock()
    purge = Purge(calls, [BETWEEN], clock)
    purge.step(worker.tasks.values())
    assert not calls.made, "not at once"
    clock.now_s += 30
    purge.step(worker.tasks.values())
    assert [call.before for call in calls.made] == [{(BETWEEN, 0): log.position_of((BETWEEN, 0))}]


def test_what_is_processed_and_not_committed_stays() -> None:
    log = cluster()
    run = worker_of(log, WorkerLimits(commit_interval_s=1_000))
    calls, clock = Calls(), ManualClock()
    purge = Purge(calls, [BETWEEN], clock)
    run.worker.step()
    while not run.worker.tasks:
        run.worker.step()
    log.inputs[BETWEEN, 0] += [(n, b"k", b"v", n) for n in range(log.end((BETWEEN, 0)), 9)]
    for _ in range(5):
        run.worker.step()
    assert any(task.is_touched for task in run.worker.tasks.values())
    clock.now_s += 30
    purge.step(run.worker.tasks.values())
    assert all(offset <= (log.position_of(p) or 0) for call in calls.made for p, offset in call.before.items())


def test_one_call_at_a_time_and_none_where_nothing_is_new() -> None:
    log = cluster()
    worker = settled(worker_of(log), log)
    calls, clock = Calls(), ManualClock()
    purge = Purge(calls, [BETWEEN], clock)
    for _ in range(3):
        clock.now_s += 30
        purge.step(worker.tasks.values())
    (call,) = calls.made
    call.result = dict.fromkeys(call.before)
    for _ in range(3):
        clock.now_s += 30
        purge.step(worker.tasks.values())
    assert len(calls.made) == 1


def test_a_call_that_fails_is_counted_told_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    log = cluster()
    worker = settled(worker_of(log), log)
    calls, clock = Calls(), ManualClock()
    purge = Purge(calls, [BETWEEN], clock)
    clock.now_s += 30
    purge.step(worker.tasks.values())
    calls.made[0].result = dict.fromkeys(calls.made[0].before, "_TIMED_OUT: no answer")
    purge.step(worker.tasks.values())
    assert purge.failures == 1
    assert "nothing is lost" in caplog.text
    purge.step(worker.tasks.values())
    assert len(calls.made) == 1, "not at once"
    clock.now_s += 30
    purge.step(worker.tasks.values())
    assert calls.made[1].before == calls.made[0].before
