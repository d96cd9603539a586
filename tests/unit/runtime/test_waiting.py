"""A record that is tried again: what is behind it in its task waits, other tasks go on, and nothing is doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskId, TaskStatus
from penstock.schemas.topic import Topic
from penstock.topology.policy import Classifier, Policy, Retry
from tests.unit.runtime.flaky import Flaky
from tests.unit.runtime.in_memory import Cluster, Fault, Running, running

IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=str)
A, B = ("in", 0), ("in", 1)
ROWS = 12
SECOND = timedelta(seconds=1)


def cluster(partitions: int = 1) -> Cluster:
    return Cluster(
        {("in", p): [(n, b"k%d" % p, b"%d" % (100 * p + n), n) for n in range(ROWS)] for p in range(partitions)}
    )


def enriched(flaky: Flaky, on_error: Policy, classify: Classifier | None = None) -> Pipeline:
    made = Pipeline("p", on_error=on_error, classify=classify)
    numbers = made.stream(IN).map(flaky, name="enrich")
    numbers.map(int, name="parse").aggregate(int, lambda total, n: total + n, name="sum").to_stream().map(
        str, name="show"
    ).to(OUT)
    return made


def totals(numbers: list[int]) -> list[bytes]:
    return [b"%d" % sum(numbers[: n + 1]) for n in range(len(numbers))]


def letters(log: Cluster) -> list[dict[str, bytes | None]]:
    return [dict(w.headers) for written, _ in log.transactions for w in written if w.topic == "dlq.in"]


def step_until(run: Running, is_so: Callable[[], bool], tick_s: float = 0.1) -> None:
    for _ in range(500):
        if is_so():
            return
        run.worker.step()
        run.clock.now_s += tick_s
    raise AssertionError("waited in vain")


@pytest.mark.parametrize(
    "policy", ["block", Retry(attempts=4, first=SECOND), Retry(attempts=None, max_age=SECOND * 90)]
)
def test_a_record_that_succeeds_in_the_end_is_as_if_it_had_never_failed(policy: Policy) -> None:
    log, flaky = cluster(), Flaky({4: 3})
    run = running(log, enriched(flaky, policy), WorkerLimits(max_batch_records=5))
    run.until_idle()
    assert log.values("out") == totals(list(range(ROWS)))
    assert letters(log) == []
    assert log.position_of(A) == ROWS


def test_what_was_before_it_is_committed_at_once_and_what_is_behind_it_is_not_processed() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, enriched(flaky, "block"))
    step_until(run, lambda: log.position_of(A) == 4)
    assert log.values("out") == totals(list(range(4)))
    (task,) = run.worker.tasks.values()
    assert task.status is TaskStatus.WAITING
    assert A in run.member.paused
    assert not run.worker.is_idle


def test_it_is_left_alone_until_it_is_due_though_the_worker_goes_on() -> None:
    log, flaky = cluster(2), Flaky({4: 99})
    run = running(log, enriched(flaky, Retry(attempts=None, first=SECOND * 10, jitter=0)))
    step_until(run, lambda: log.position_of(B) == ROWS and log.position_of(A) == 4)
    calls, began_s, pauses = flaky.calls[4], run.clock.now_s, run.member.pauses.count(A)
    step_until(run, lambda: run.clock.now_s > began_s + 8)
    assert flaky.calls[4] == calls
    assert run.member.pauses.count(A) == pauses, "nor is it read again meanwhile"
    assert len(run.member.waits) > 50, "polling goes on, or the group would take the partitions away"
    step_until(run, lambda: flaky.calls[4] > calls)
    assert log.values("out").count(b"4950") == 0
    assert {value for value in log.values("out") if int(value or b"") >= 100}, "the other task went on"


def test_when_it_was_tried_often_enough_it_is_a_dead_letter_that_says_so() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, enriched(flaky, Retry(attempts=3, first=SECOND)))
    run.until_idle()
    assert log.values("out") == totals([n for n in range(ROWS) if n != 4])
    (letter,) = letters(log)
    assert (letter["penstock.dlq.attempts"], letter["__dlq.errors.offset"]) == (b"3", b"4")
    assert int(letter["penstock.dlq.first.failed.ms"] or b"") < int(letter["penstock.dlq.failed.ms"] or b"")


def test_when_it_has_failed_for_too_long_it_is_one_as_well() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, enriched(flaky, Retry(attempts=None, max_age=SECOND * 20, first=SECOND, longest=SECOND * 5)))
    run.until_idle()
    (letter,) = letters(log)
    lasted_ms = int(letter["penstock.dlq.failed.ms"] or b"") - int(letter["penstock.dlq.first.failed.ms"] or b"")
    assert 20_000 <= lasted_ms < 30_000


def test_or_the_task_stops_in_front_of_it() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, enriched(flaky, Retry(attempts=3, first=SECOND, then="fail")))
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@4 failed at 'enrich'"):
        run.until_idle()
    assert log.position_of(A) == 4
    assert letters(log) == []


def test_errors_that_are_not_worth_another_try_go_their_way_at_once() -> None:
    log, flaky = cluster(), Flaky({4: 99}, KeyError)
    run = running(log, enriched(flaky, Retry(on=(LookupError,), first=SECOND, attempts=2)))
    other = cluster()
    run.until_idle()
    assert letters(log)[0]["penstock.dlq.attempts"] == b"2"
    flaky = Flaky({4: 99}, ValueError)
    running(other, enriched(flaky, Retry(on=(LookupError,)))).until_idle()
    assert letters(other)[0]["penstock.dlq.attempts"] == b"1"


@pytest.mark.parametrize("policy", ["fail", "dead_letter", Retry(attempts=1)])
def test_an_outage_is_waited_for_whatever_the_policy_and_makes_no_dead_letter(policy: Policy) -> None:
    log, flaky = cluster(), Flaky({4: 25}, ConnectionRefusedError)
    run = running(log, enriched(flaky, policy))
    step_until(run, lambda: log.position_of(A) == ROWS, tick_s=10)
    assert log.values("out") == totals(list(range(ROWS)))
    assert letters(log) == []


def test_an_outage_uses_up_no_tries_of_the_record_behind_which_it_ends() -> None:
    """Nor does it count for its age: it fails for its own fault only when the dependency is back."""
    log, errors = cluster(), [ConnectionRefusedError] * 25 + [ValueError] * 4
    flaky = Flaky({4: 99}, lambda: errors.pop(0)() if errors else ValueError())
    policy = Retry(attempts=4, max_age=SECOND * 60, first=SECOND, longest=SECOND * 2)
    run = running(log, enriched(flaky, policy))
    step_until(run, lambda: len(errors) == 3, tick_s=10)
    run.until_idle()
    (letter,) = letters(log)
    assert (letter["penstock.dlq.attempts"], errors) == (b"4", [])
    lasted_ms = int(letter["penstock.dlq.failed.ms"] or b"") - int(letter["penstock.dlq.first.failed.ms"] or b"")
    assert lasted_ms < 60_000


def test_a_bug_stops_the_task_whatever_the_policy() -> None:
    log, flaky = cluster(), Flaky({4: 99}, NotImplementedError)
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@4"):
        running(log, enriched(flaky, "dead_letter")).until_idle()
    assert letters(log) == []
    assert log.position_of(A) == 4


def test_users_say_what_is_an_outage_and_what_a_bug() -> None:
    def classify(error: Exception) -> Any:
        return {"KeyError": "transient", "ValueError": "bug"}.get(type(error).__name__)

    log, flaky = cluster(), Flaky({4: 3}, KeyError)
    running(log, enriched(flaky, "dead_letter", classify)).until_idle()
    assert letters(log) == []
    assert log.position_of(A) == ROWS
    with pytest.raises(OperatorMustDecide):
        running(cluster(), enriched(Flaky({4: 99}, ValueError), "dead_letter", classify)).until_idle()


def test_a_transaction_that_is_lost_while_it_waits_makes_it_wait_no_less() -> None:
    """What was before it is done again; it itself is not tried before it is due."""
    log, flaky = cluster(), Flaky({4: 99})
    log.faults["flush", 2] = "aborted"
    run = running(log, enriched(flaky, Retry(attempts=None, first=SECOND * 10, jitter=0)))
    step_until(run, lambda: log.position_of(A) == 4)
    assert len(run.hooks.aborts) == 1
    assert flaky.calls[4] == 2, "once in the batch, once alone"
    assert run.worker.tasks[TaskId("in", 0)].status is TaskStatus.WAITING


def test_partitions_that_go_while_it_waits_are_taken_up_by_the_next() -> None:
    log, flaky = cluster(), Flaky({4: 3})
    run = running(log, enriched(flaky, "block"))
    step_until(run, lambda: log.position_of(A) == 4)
    run.member.events.append(("revoked", [A]))
    run.member.events.append(("assigned", [A]))
    run.until_idle()
    assert log.values("out") == totals(list(range(ROWS)))


CALLS = st.sampled_from(["begin", "produce", "flush", "offsets", "commit"])
FAULTS: st.SearchStrategy[dict[tuple[str, int], Fault]] = st.dictionaries(
    st.tuples(CALLS, st.integers(1, 8)), st.sampled_from(["aborted", "retriable"]), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(
    failures=st.dictionaries(st.integers(0, ROWS - 1), st.integers(1, 6), max_size=5),
    most=st.integers(1, ROWS),
    faults=FAULTS,
)
def test_whatever_fails_how_often_order_and_sums_are_those_of_a_run_without_failures(
    failures: dict[int, int], most: int, faults: dict[tuple[str, int], Fault]
) -> None:
    log = cluster()
    log.faults |= {at: fault for at, fault in faults.items() if fault == "aborted" or at[0] in ("offsets", "commit")}
    run = running(log, enriched(Flaky(failures), "block"), WorkerLimits(max_batch_records=most))
    step_until(run, lambda: log.position_of(A) == ROWS, tick_s=20)
    assert log.values("out") == totals(list(range(ROWS)))
