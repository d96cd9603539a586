"""How much a worker reads ahead, and how long it waits for more."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster, running
from tests.unit.runtime.sums import OUT, cluster, sums


def test_what_is_buffered_enough_is_paused_until_half_of_it_is_done() -> None:
    """One partition waits for the other by time, so its records pile up."""
    left, right = Topic("left", key=str, value=str), Topic("right", key=str, value=str)
    log = Cluster(
        {
            ("left", 0): [(n, b"k", b"l", 1_000 + n) for n in range(40)],
            ("right", 0): [(n, b"k", b"r", n) for n in range(60)],
        }
    )
    made = Pipeline("p")
    made.stream(left).merge(made.stream(right)).to(OUT)
    run = running(log, made, WorkerLimits(max_batch_records=10, max_buffered_records=10))
    run.until_idle()
    assert ("left", 0) in run.member.pauses
    assert not run.member.paused
    assert log.values("out") == [b"r"] * 60 + [b"l"] * 40


def test_large_records_are_paused_by_their_bytes() -> None:
    """Ten thousand of them are allowed, but each partition has its share of the bytes only."""
    left, right = Topic("left", key=str, value=str), Topic("right", key=str, value=str)
    log = Cluster(
        {
            ("left", 0): [(n, b"k", b"l" * 1_000, 1_000 + n) for n in range(40)],
            ("right", 0): [(n, b"k", b"r", n) for n in range(60)],
        }
    )
    made = Pipeline("p")
    made.stream(left).merge(made.stream(right)).map(lambda text: text[0], name="first").to(OUT)
    run = running(log, made, WorkerLimits(max_batch_records=10, max_buffered_records=10_000, max_buffered_bytes=40_000))
    most = 0
    for _ in range(30):
        run.worker.step()
        most = max(most, *(task.buffer.buffered(("left", 0)) for task in run.worker.tasks.values()), 0)
    run.until_idle()
    assert ("left", 0) in run.member.pauses
    assert ("right", 0) not in run.member.pauses
    assert 20 <= most < 40
    assert not run.member.paused
    assert log.values("out") == [b"r"] * 60 + [b"l"] * 40


def test_no_poll_waits_beyond_the_commit() -> None:
    """Behind the first of a transaction records are gathered for a moment, and not for longer than it may stay open."""
    run = running(cluster(rows=3), sums(), WorkerLimits(commit_interval_s=0.08))
    while not any(task.is_touched for task in run.worker.tasks.values()):
        run.worker.step()
    assert run.member.waits[-1] == pytest.approx(0.1)
    run.worker.step()
    assert run.member.waits[-1] == pytest.approx(0.02)
    run.clock.now_s += 0.07
    run.worker.step()
    assert run.member.waits[-1] == pytest.approx(0.01)


def test_records_that_wait_for_another_input_leave_the_processor_alone() -> None:
    """A partition without a leader has neither records nor an end: until it has one, the others pile up behind it."""
    left, right = Topic("left", key=str, value=str), Topic("right", key=str, value=str)
    log = Cluster({("left", 0): [(n, b"k", b"l", n) for n in range(40)], ("right", 0): []})
    made = Pipeline("p")
    made.stream(left).merge(made.stream(right)).to(OUT)
    run = running(log, made, WorkerLimits(max_batch_records=10))
    while not run.worker.tasks:
        run.worker.step()
    run.member.stuck.add(("right", 0))
    for _ in range(5):
        run.worker.step()
    assert [len(task.buffer) for task in run.worker.tasks.values()] == [40]
    assert run.member.waits[-3:] == [pytest.approx(0.01)] * 3, "neither at once, nor for long"
    run.member.stuck.clear()
    run.worker.step()
    assert [len(task.buffer) for task in run.worker.tasks.values()] == [30]
    run.worker.step()
    assert run.member.waits[-1] == 0, "there is something to do"
    run.until_idle()
    assert log.values("out") == [b"l"] * 40
