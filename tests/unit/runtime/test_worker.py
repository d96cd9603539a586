"""The worker's loop under failing records and errors of every transactional call."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import (
    ConfigurationError,
    DuplicateIdentity,
    KafkaUnavailable,
    OperatorMustDecide,
    OutcomeUnknown,
    RegistryUnavailable,
    ServerUnreachable,
    TransactionAborted,
)
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.opening import WorkerSurroundings, check_intervals
from penstock.runtime.task import TaskStatus
from penstock.state import commit_record
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.commit_record import CommitRecord
from tests.unit.runtime.in_memory import Fault, Written, metadata, running
from tests.unit.runtime.sums import IN, OUT, ROWS, A, B, cluster, sums, totals


def test_outputs_state_and_offsets_stand_in_the_same_transactions() -> None:
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    run.until_idle()
    assert log.values("out") == totals()
    seen = 0
    for records, offsets in log.transactions:
        seen += sum(record.topic == "out" for record in records)
        assert offsets[A][0] == seen
        assert records[-1].key == b"\x00", "the commit record is the last"
    assert log.position_of(A) == ROWS


def test_the_first_transaction_of_a_task_is_its_claim() -> None:
    """It holds no output, all source partitions and the next owner epoch."""
    log = cluster()
    run = running(log, sums())
    run.until_idle()
    records, offsets = log.transactions[0]
    assert [record.topic for record in records] == ["in.changelog"]
    assert offsets[A][0] == 0
    assert "s=1;w=p.0;oe=1" in offsets[A][1]
    (task,) = run.worker.tasks.values()
    assert (task.committed.owner_epoch, task.committed.sequence) == (1, 2)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("init", "retriable"),
        ("begin", "aborted"),
        ("begin", "fenced"),
        ("produce", "aborted"),
        ("flush", "aborted"),
        ("flush", "fenced"),
        ("offsets", "retriable"),
        ("offsets", "aborted"),
        ("offsets", "fenced"),
        ("commit", "retriable"),
        ("commit", "unknown, done"),
        ("commit", "unknown, lost"),
    ],
)
def test_whatever_a_call_answers_the_result_is_the_same(call: str, fault: Fault, nth: int) -> None:
    log = cluster()
    log.faults[call, nth] = fault
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    run.until_idle()
    assert log.calls[call] >= nth or call == "init"
    assert log.values("out") == totals()
    assert log.position_of(A) == ROWS


def test_after_a_restart_the_state_goes_on() -> None:
    log = cluster()
    running(log, sums()).until_idle()
    log.inputs[A] += [(ROWS, b"k0", b"100", 0)]
    running(log, sums()).until_idle()
    assert log.values("out") == [*totals(), b"145"]


def test_a_record_that_fails_stops_its_task_with_the_records_before_it_committed() -> None:
    log = cluster(bad=6)
    run = running(log, sums())
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@6") as caught:
        run.until_idle()
    assert caught.value.exit_code == 5
    assert log.position_of(A) == 6
    assert log.values("out") == totals(6)
    log.inputs[A][6] = (6, b"k0", b"6", 6)
    running(log, sums()).until_idle()
    assert log.values("out") == totals()


def test_a_task_that_stopped_stops_again_when_its_last_transaction_was_discarded() -> None:
    log = cluster(bad=6)
    log.faults["flush", 2] = "aborted"
    run = running(log, sums())
    with pytest.raises(OperatorMustDecide):
        run.until_idle()
    assert run.hooks.aborts
    assert log.position_of(A) == 6
    assert log.values("out") == totals(6)


def test_the_other_tasks_of_a_worker_go_on() -> None:
    log = cluster(partitions=2)
    log.inputs[A][3] = (3, b"k0", b"bad", 3)
    run = running(log, sums())
    run.until_idle()
    assert {str(t.id): t.status for t in run.worker.tasks.values()} == {
        "in[0]": TaskStatus.STOPPED,
        "in[1]": TaskStatus.RUNNING,
    }
    assert (log.position_of(A), log.position_of(B)) == (3, ROWS)
    log.inputs[B].append((ROWS, b"k1", b"100", 0))
    run.member.start({B: ROWS})
    run.until_idle()
    assert (log.position_of(A), log.position_of(B)) == (3, ROWS + 1)


def test_run_leaves_the_group_when_everything_has_stopped() -> None:
    log = cluster(bad=0)
    run = running(log, sums())
    with pytest.raises(OperatorMustDecide):
        run.worker.run()
    assert run.member.is_closed


def test_a_poll_that_fails_does_not_commit_what_it_swallowed() -> None:
    """`run` leaves without a commit: the positions are past records that nobody has seen."""
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 3:
        run.worker.step()
    run.member.trouble = OperatorMustDecide("the position is no longer in the log")
    with pytest.raises(OperatorMustDecide):
        run.worker.run()
    running(log, sums()).until_idle()
    assert log.values("out") == totals()


def test_an_error_that_is_nobodys_leaves_the_group_and_commits_nothing() -> None:
    """The revocation on the way out finds nothing to commit; what the next worker does is the whole result."""
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 3:
        run.worker.step()
    committed = len(log.transactions)
    run.hooks.on_step = _fails  # type: ignore[method-assign] # the hook is what is planted
    with pytest.raises(RuntimeError, match="planted"):
        run.worker.run()
    assert run.member.is_closed
    assert len(log.transactions) == committed
    run.worker.leave()
    assert not run.worker.tasks
    running(log, sums()).until_idle()
    assert log.values("out") == totals()


def _fails(step: str) -> None:
    raise RuntimeError(f"planted at {step}")


def test_a_poll_that_fails_in_passing_reads_again_what_it_swallowed() -> None:
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 3:
        run.worker.step()
    run.member.trouble = TransactionAborted("planted")
    run.until_idle()
    assert log.values("out") == totals()


def test_a_registry_that_is_away_loses_and_kills_no_record() -> None:
    away = [True, True]

    def parse(text: str) -> int:
        if text == "5" and away:
            away.pop()
            raise RegistryUnavailable("no answer")
        return int(text)

    made = Pipeline("p", on_error="dead_letter")
    numbers = made.stream(IN).map(parse, name="parse")
    numbers.aggregate(int, lambda total, n: total + n, name="sum").to_stream().map(str, name="show").to(OUT)
    log = cluster()
    run = running(log, made)
    run.until_idle()
    assert not away
    assert log.values("out") == totals()
    assert log.values("dlq.in") == []


def test_a_dead_letter_and_the_offset_behind_it_are_one_transaction() -> None:
    log = cluster(bad=6)
    made = Pipeline("p", on_error="dead_letter")
    made.stream(IN).map(int, name="parse").map(str, name="show").to(OUT)
    log.faults["flush", 2] = "aborted"
    running(log, made, WorkerLimits(max_batch_records=4)).until_idle()
    dealt_with = 0
    for records, offsets in log.transactions:
        dealt_with += len(records)
        assert offsets[A][0] == dealt_with
    assert log.values("dlq.in") == [b"bad"]


def test_a_transaction_of_another_writer_is_not_taken_for_ours() -> None:
    """In doubt, and the log shows the next sequence, but somebody else's: the task is restored, nothing is skipped."""
    log = cluster()
    log.faults["commit", 2] = "unknown, lost"
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=0.0))
    while not run.worker.tasks:
        run.worker.step()
    (task,) = run.worker.tasks.values()
    other = CommitRecord(
        next_offsets={"in": 0},
        sequence=task.committed.sequence + 1,
        writer="p.1",
        owner_epoch=task.committed.owner_epoch + 1,
        stream_time_ms=None,
        digest=digests.to_bytes(digests.EMPTY),
        topology="another",
    )
    written = [Written("in.changelog", 0, COMMIT_RECORD_KEY, commit_record.encode(other))]
    log.commit(written, {A: (0, metadata(other.sequence, writer="p.1"))})
    run.until_idle()
    assert any("another writer" in str(error) for error in run.hooks.aborts)
    assert log.values("out") == totals()


def test_the_third_fence_in_five_minutes_ends_the_worker() -> None:
    log = cluster()
    log.faults = {("begin", nth): "fenced" for nth in range(1, 9)}
    run = running(log, sums())
    with pytest.raises(DuplicateIdentity, match="another instance name"):
        run.until_idle()


def test_a_doubt_that_is_not_answered_at_once_is_asked_again() -> None:
    log = cluster()
    log.faults = {("commit", 2): "unknown, done", ("init", 2): "retriable", ("init", 3): "retriable"}
    run = running(log, sums())
    run.until_idle()
    assert not any(isinstance(error, OutcomeUnknown) for error in run.hooks.aborts)
    assert log.values("out") == totals()


def test_a_doubt_that_is_never_answered_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    log = cluster()
    log.faults["commit", 2] = "unknown, done"
    run = running(log, sums())
    while not run.worker.tasks:
        run.worker.step()

    def silent(partitions: object, timeout_s: float) -> dict[Partition, Committed]:
        del partitions, timeout_s
        raise KafkaUnavailable("planted")

    monkeypatch.setattr(run.member, "committed", silent)
    with pytest.raises(ServerUnreachable, match="not answered for 120 s"):
        run.until_idle()


@pytest.mark.parametrize(("interval_s", "budget_ms", "timeout_ms"), [(45.0, 45_000, 60_000), (0.1, 60_000, 60_000)])
def test_transactions_that_cannot_end_in_time_are_refused(interval_s: float, budget_ms: int, timeout_ms: int) -> None:
    around = WorkerSurroundings(
        Connection("nowhere:1"),
        None,
        Path("unused"),
        limits=WorkerLimits(commit_interval_s=interval_s),
        transaction_budget_ms=budget_ms,
        transaction_timeout_ms=timeout_ms,
    )
    with pytest.raises(ConfigurationError, match="below the transaction"):
        check_intervals(around)


def test_closing_commits_what_is_done() -> None:
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4, commit_interval_s=20))
    while log.calls["produce"] < 3:
        run.worker.step()
    run.worker.close()
    assert log.position_of(A) == len(log.values("out")) >= 4
    assert run.member.is_closed
