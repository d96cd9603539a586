"""A task that an eager rebalance took away and gave back goes on, if nobody has claimed it in between."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError, OperatorMustDecide
from penstock.kafka.consumer import Committed
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.suspended import Suspended
from penstock.runtime.task import TaskId, TaskStatus
from penstock.schemas.topic import Topic
from penstock.state.offset_metadata import OffsetMetadata
from tests.unit.runtime.in_memory import Cluster, Row, Running, running
from tests.unit.runtime.sums import sums

A, B = ("in", 0), ("in", 1)
ROWS = 12


def cluster(bad: int | None = None) -> Cluster:
    rows = [(n, b"bad" if n == bad else b"%d" % n) for n in range(ROWS)]
    return Cluster({("in", p): [(n, b"k%d" % p, value, n) for n, value in rows] for p in range(2)}, is_eager=True)


def rebalance(run: Running, *given: Partition) -> None:
    run.member.events.extend([("revoked", [A, B]), ("assigned", list(given))])


def epochs(log: Cluster) -> dict[Partition, str]:
    return {p: committed.metadata.partition("oe=")[2].partition(";")[0] for p, committed in log.offsets.items()}


def check(log: Cluster) -> None:
    totals = [b"%d" % sum(range(n + 1)) for n in range(ROWS)]
    for p in range(2):
        found = [w.value for ws, _ in log.transactions for w in ws if (w.topic, w.key) == ("out", b"k%d" % p)]
        assert found == totals


def midway(log: Cluster) -> Running:
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 4:
        run.worker.step()
    return run


def test_a_task_that_comes_back_goes_on_without_a_claim_or_a_restore() -> None:
    log = cluster()
    run = midway(log)
    restores = run.hooks.steps.count("restore")
    before = dict(run.worker.tasks)
    rebalance(run, A, B)
    run.until_idle()
    assert run.worker.tasks == before, "the very same objects"
    assert run.hooks.steps.count("restore") == restores
    assert epochs(log) == {A: "1", B: "1"}
    check(log)


def test_a_task_that_does_not_come_back_is_closed_when_that_is_known() -> None:
    log = cluster()
    run = midway(log)
    rebalance(run, A)
    run.worker.step()
    run.worker.step()
    assert set(run.worker.tasks) == {TaskId("in", 0)}
    rebalance(run, A, B)
    run.until_idle()
    assert epochs(log) == {A: "1", B: "2"}, "the one that was away was restored and claimed"
    check(log)


@pytest.mark.parametrize(
    "other",
    [
        OffsetMetadata(sequence=9, writer="p.0", owner_epoch=1),
        OffsetMetadata(sequence=2, writer="p.0", owner_epoch=9),
        OffsetMetadata(sequence=2, writer="p.9", owner_epoch=1),
    ],
)
def test_a_task_that_somebody_else_has_touched_is_not_believed(other: OffsetMetadata) -> None:
    """Its changelog was not written with it here, so the restore says so. What it says does not matter."""
    log = cluster()
    run = midway(log)
    rebalance(run, A, B)
    run.member.poll(0, 0)
    assert epochs(log) == {A: "1", B: "1"}
    log.offsets[A] = Committed(log.offsets[A].next_offset, str(other))
    restores = run.hooks.steps.count("restore")
    if other.sequence == 9:
        with pytest.raises(OperatorMustDecide):
            run.until_idle()
    else:
        run.until_idle()
        assert epochs(log)[A] == "2"
    assert run.hooks.steps.count("restore") == restores + 1


class Pending:
    """An answer that is not there yet."""

    def __init__(self) -> None:
        self.found: Mapping[Partition, Committed] | None = None

    def get(self) -> Mapping[Partition, Committed] | None:
        return self.found


def test_what_was_asked_before_a_rebalance_is_not_believed_behind_it() -> None:
    """Seed 41864 of the simulation: one that stood still in between went on as the owner, and was none."""
    log = cluster()
    run = midway(log)
    run.until_idle()
    task = run.worker.tasks[TaskId("in", 0)]
    asked: list[Pending] = []

    def ask(sources: tuple[Partition, ...]) -> Pending:
        assert sources == (A,)
        asked.append(Pending())
        return asked[-1]

    kept = Suspended(ask, run.clock)
    kept.put(task)
    kept.keep([task.id])
    assert not list(kept.step([task.id])), "not answered yet"
    asked[0].found = {A: log.offsets[A]}
    kept.keep([task.id])  # all were taken again, and this one is given back
    assert not list(kept.step([task.id]))
    other = OffsetMetadata(sequence=9, writer="p.9", owner_epoch=9)
    asked[-1].found = {A: Committed(log.offsets[A].next_offset, str(other))}
    assert not list(kept.step([task.id]))
    assert task.id not in kept
    assert len(asked) == 2


def test_offsets_that_an_operator_has_moved_are_not_stepped_over() -> None:
    log = cluster()
    run = midway(log)
    rebalance(run, A, B)
    run.member.poll(0, 0)
    log.offsets[A] = Committed(0, log.offsets[A].metadata)
    with pytest.raises(OperatorMustDecide, match=r"group is at in\[0\]=0"):
        run.until_idle()


def test_lost_partitions_close_what_was_kept() -> None:
    log = cluster()
    run = midway(log)
    run.member.events.extend([("revoked", [A, B]), ("lost", []), ("assigned", [A, B])])
    run.until_idle()
    assert epochs(log) == {A: "2", B: "2"}
    check(log)


def test_a_task_that_stopped_stands_still_when_it_is_back() -> None:
    log = cluster()
    log.inputs[A][6] = (6, b"k0", b"bad", 6)
    run = running(log, sums())
    run.until_idle()
    rebalance(run, A, B)
    run.until_idle()
    assert {str(task.id): task.status for task in run.worker.tasks.values()} == {
        "in[0]": TaskStatus.STOPPED,
        "in[1]": TaskStatus.RUNNING,
    }
    assert A in run.member.paused


def test_an_assignment_that_tears_a_task_ends_the_worker_and_names_the_topics() -> None:
    """Three and two partitions over two workers by ranges: partition 1 of each is on another."""
    wide, narrow = Topic("wide", key=str, value=str), Topic("narrow", key=str, value=str)
    inputs: dict[Partition, list[Row]] = {
        (topic, p): [(0, b"k", b"1", 0)] for topic, width in (("wide", 3), ("narrow", 2)) for p in range(width)
    }
    log = Cluster(inputs, is_eager=True)
    made = Pipeline("p")
    made.stream(wide).merge(made.stream(narrow)).to(Topic("out", key=str, value=str))
    run = running(log, made)
    run.member.events.clear()
    run.member.events.append(("assigned", [("wide", 0), ("wide", 1), ("narrow", 0)]))
    with pytest.raises(ConfigurationError, match=r"narrow\[1\] of it.*'wide' has 3, 'narrow' has 2"):
        run.worker.run()


def test_closing_lets_go_of_what_was_kept() -> None:
    log = cluster()
    run = midway(log)
    run.member.events.append(("revoked", [A, B]))
    run.worker.step()
    assert not run.worker.tasks
    run.worker.close()
    assert run.member.is_closed
