"""Slow user code: batches are cut by time as well, and neither other tasks nor the group are kept waiting."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.pace import FIRST_BATCH_RECORDS, Pace
from penstock.runtime.task import TaskId
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster, Running, running
from tests.unit.runtime.sums import IN, OUT

TASK = TaskId("g", 0)


def test_a_task_begins_with_few_records_and_then_has_as_many_as_its_time_allows() -> None:
    pace = Pace(WorkerLimits(max_batch_records=1_000, max_batch_s=1.0))
    assert pace.max_records(TASK) == FIRST_BATCH_RECORDS
    pace.note(TASK, 10, 0.001, 0)
    assert pace.max_records(TASK) == 1_000
    pace.note(TASK, 1_000, 4.0, 0)
    assert pace.max_records(TASK) == 250
    assert pace.expected_s(TASK, 250) == pytest.approx(1.0)
    assert pace.max_records(TaskId("g", 1)) == FIRST_BATCH_RECORDS


def test_slow_counts_at_once_and_fast_again_by_and_by() -> None:
    pace = Pace(WorkerLimits(max_batch_records=1_000, max_batch_s=1.0))
    pace.note(TASK, 1, 8.0, 0)
    assert pace.max_records(TASK) == 1
    limits = []
    for _ in range(14):
        pace.note(TASK, 1, 0.0, 0)
        limits.append(pace.max_records(TASK))
    assert limits[:4] == [1, 1, 1, 2]
    assert limits[-1] == 1_000


def test_large_records_are_fewer() -> None:
    pace = Pace(WorkerLimits(max_batch_records=1_000, max_transaction_bytes=1_000_000))
    pace.note(TASK, 10, 0.0, 1_000_000)
    assert pace.max_records(TASK) == 10
    pace.note(TASK, 1, 0.0, 5_000_000)
    assert pace.max_records(TASK) == 1


def test_a_batch_of_nothing_says_nothing() -> None:
    pace = Pace(WorkerLimits())
    pace.note(TASK, 0, 5.0, 0)
    assert pace.max_records(TASK) == FIRST_BATCH_RECORDS


class Slow:
    """User code that takes time, on a clock that is moved by hand."""

    clock: ManualClock

    def __init__(self, seconds_for: Callable[[str], float]) -> None:
        self.seconds_for = seconds_for
        self.calls = 0

    def work(self, text: str) -> str:
        self.calls += 1
        self.clock.now_s += self.seconds_for(text)
        return text

    def pipeline(self) -> Pipeline:
        made = Pipeline("p")
        made.stream(IN).map(self.work, name="work").to(OUT)
        return made


def cluster(partitions: int, rows: int) -> Cluster:
    return Cluster({("in", p): [(n, b"k%d" % p, b"%d-%d" % (p, n), n) for n in range(rows)] for p in range(partitions)})


def start(log: Cluster, slow: Slow, limits: WorkerLimits) -> tuple[Running, list[float]]:
    """A worker, and when it polls."""
    run = running(log, slow.pipeline(), limits)
    slow.clock = run.clock
    polls: list[float] = []
    run.hooks.on_step = lambda step: polls.append(run.clock.now_s) if step == "poll" else None  # type: ignore[method-assign]
    return run, polls


def longest_gap(polls: list[float]) -> float:
    return max(after - before for before, after in pairwise(polls))


def steps(run: Running, log: Cluster, rows: int) -> None:
    for _ in range(2_000):
        if len(log.values("out")) == rows:
            return
        run.worker.step()
        run.clock.now_s += 0.01
    raise AssertionError("the worker goes round in circles")


def test_code_that_is_slow_gets_fewer_records_so_that_the_group_is_polled() -> None:
    """0.3 s a record: after the first few, three at a time."""
    log, slow = cluster(1, 60), Slow(lambda _: 0.3)
    run, polls = start(log, slow, WorkerLimits(max_batch_s=1.0))
    steps(run, log, 60)
    first = next(place for place, (a, b) in enumerate(pairwise(polls)) if b - a > 2)
    assert longest_gap(polls[first + 1 :]) < 1.0
    assert slow.calls == 60


def test_many_tasks_that_are_not_fast_have_their_turns_and_the_group_its_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve tasks of 0.4 s a batch would be 5 s without a poll; each of them gets on."""
    log, slow = cluster(12, 40), Slow(lambda _: 0.05)
    run, polls = start(log, slow, WorkerLimits(max_batch_records=8, max_batch_s=1.0))
    with monkeypatch.context() as held:
        held.setattr(run.worker._processing, "step", lambda _: None)
        while not run.member.is_at_ends or not run.worker.tasks:
            run.worker.step()
    for _ in range(6):  # as long as all of them need for one batch each, three in a step
        run.worker.step()
    assert longest_gap(polls) < 1.5
    assert len({w.key for records, _ in log.transactions for w in records if w.topic == "out"}) == 12
    steps(run, log, 12 * 40)
    assert slow.calls == 12 * 40


@pytest.mark.parametrize("slow_s", [50.0, 100.0])
def test_a_record_that_takes_longer_than_a_transaction_may_is_done_all_the_same(slow_s: float) -> None:
    """The budget is 45 s. What another task has staged meanwhile is discarded once, and then committed before."""
    log, slow = cluster(2, 20), Slow(lambda text: slow_s if text == "1-5" else 0.0)
    run, _ = start(log, slow, WorkerLimits(max_batch_records=4, commit_interval_s=0.1))
    steps(run, log, 40)
    assert len(run.hooks.aborts) <= 1
    assert sorted(log.values("out")) == sorted(b"%d-%d" % (p, n) for p in range(2) for n in range(20))  # type: ignore[type-var]


def test_all_records_that_slow_are_done_one_by_one() -> None:
    log, slow = cluster(3, 5), Slow(lambda _: 50.0)
    run, _ = start(log, slow, WorkerLimits(commit_interval_s=0.1))
    steps(run, log, 15)
    assert len(run.hooks.aborts) <= 3
    assert len(log.values("out")) == 15
