"""A position that is no longer in the log: only its task stops, with everything in front of the gap committed."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import KafkaUnavailable, OperatorMustDecide, TransactionAborted
from penstock.kafka.consumer import Committed
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.lost_positions import PositionLost
from penstock.runtime.merge import Partition
from penstock.runtime.task import TaskStatus
from penstock.schemas.topic import Topic
from penstock.state.offset_metadata import OffsetMetadata
from tests.unit.runtime.in_memory import Cluster, Running, running
from tests.unit.runtime.sums import IN, OUT, A, B, sums

ROWS = 100


def cluster(partitions: int = 2) -> Cluster:
    return Cluster({("in", p): [(n, b"k%d" % p, b"%d" % n, n) for n in range(ROWS)] for p in range(partitions)})


def copies() -> Pipeline:
    """Without state."""
    made = Pipeline("p")
    made.stream(IN).to(OUT)
    return made


def delete_before(log: Cluster, partition: Partition, offset: int) -> None:
    log.begins[partition] = offset
    log.inputs[partition] = [row for row in log.inputs[partition] if row[0] >= offset]


def statuses(run: Running) -> dict[str, TaskStatus]:
    return {str(task.id): task.status for task in run.worker.tasks.values()}


def written(log: Cluster, key: bytes) -> list[bytes | None]:
    return [w.value for records, _ in log.transactions for w in records if (w.topic, w.key) == ("out", key)]


def test_only_the_task_that_reads_there_stops(caplog: pytest.LogCaptureFixture) -> None:
    """The log says what is gone; nothing of its partition is committed any more."""
    log = cluster()
    log.offsets[A] = Committed(5, "")
    delete_before(log, A, 20)
    run = running(log, copies())
    run.until_idle()
    assert statuses(run) == {"in[0]": TaskStatus.STOPPED, "in[1]": TaskStatus.RUNNING}
    assert (log.position_of(A), log.position_of(B)) == (5, ROWS)
    assert A in run.member.paused
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "in[0]@5 to 19 is gone before it was read: the log begins at 20 now" in told
    assert "set the group's offset of in[0] to 20" in told
    log.inputs[B] += [(ROWS, b"k1", b"more", 0)]
    run.member.start({B: ROWS})
    run.until_idle()
    assert written(log, b"k1")[-1] == b"more"


def test_when_all_have_stopped_an_operator_must_decide() -> None:
    log = cluster()
    for partition in (A, B):
        log.offsets[partition] = Committed(5, "")
        delete_before(log, partition, 20)
    with pytest.raises(OperatorMustDecide, match="every task of this worker has stopped") as caught:
        running(log, copies()).worker.run()
    assert caught.value.exit_code == 5


def test_what_is_in_hand_in_front_of_the_gap_is_dealt_with_first() -> None:
    """Stopping at once would lose records that were read."""
    log = cluster(1)
    run = running(log, sums(), WorkerLimits(max_batch_records=30))
    while not run.worker.tasks:
        run.worker.step()
    (task,) = run.worker.tasks.values()
    task.run = lambda *_: None  # type: ignore[method-assign] # it waits for something else meanwhile
    while run.member.fetches_at.get(A, 0) < 60:
        run.worker.step()
    delete_before(log, A, 80)
    run.worker.step()
    assert statuses(run) == {"in[0]": TaskStatus.RUNNING}
    del task.run
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@60 to 79 is gone .* start the pipeline anew") as caught:
        run.until_idle()
    assert isinstance(caught.value.__cause__, PositionLost)
    assert log.position_of(A) == 60
    assert len(log.values("out")) == 60


def test_a_log_that_ends_before_the_position_is_told_apart() -> None:
    log = cluster(1)
    log.offsets[A] = Committed(500, "")
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@500 comes next, and the log has 0 to 99 only"):
        running(log, copies()).worker.run()


def test_a_position_that_is_lost_again_when_the_last_transaction_was_discarded_stops_the_task_again() -> None:
    """What was done in front of the gap is read again, and is gone by now as well: committed is what was committed."""
    log = cluster(1)
    run = running(log, sums(), WorkerLimits(max_batch_records=30, commit_interval_s=20))
    while run.member.fetches_at.get(A, 0) < 60:
        run.worker.step()
    delete_before(log, A, 80)
    log.faults["flush", log.calls["flush"] + 1] = "aborted"
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@0 to 79 is gone"):
        run.worker.run()
    assert run.hooks.aborts
    assert log.position_of(A) == 0
    assert log.values("out") == []


def test_one_of_several_inputs_stops_the_task_and_commits_the_others_as_far_as_they_were() -> None:
    left, right = Topic("left", key=str, value=str), Topic("right", key=str, value=str)
    log = Cluster(
        {
            ("left", 0): [(n, b"k", b"l%d" % n, n) for n in range(10)],
            ("right", 0): [(n, b"k", b"r%d" % n, n) for n in range(10)],
        }
    )
    log.offsets = {("left", 0): Committed(0, ""), ("right", 0): Committed(0, "")}
    made = Pipeline("p")
    made.stream(left).merge(made.stream(right)).to(OUT)
    delete_before(log, ("right", 0), 4)
    with pytest.raises(OperatorMustDecide, match=r"right\[0\]@0 to 3 is gone"):
        running(log, made).until_idle()
    assert log.values("out") == []
    assert (log.position_of(("left", 0)), log.position_of(("right", 0))) == (0, 0)


def test_a_partition_that_comes_back_is_read_anew() -> None:
    """An operator has set the group's offset meanwhile."""
    log = cluster()
    log.offsets[A] = Committed(5, "")
    delete_before(log, A, 20)
    run = running(log, copies())
    run.until_idle()
    run.member.events.append(("revoked", [A]))
    run.worker.step()
    log.offsets[A] = Committed(20, "")
    run.member.events.append(("assigned", [A]))
    run.until_idle()
    assert statuses(run) == {"in[0]": TaskStatus.RUNNING, "in[1]": TaskStatus.RUNNING}
    assert written(log, b"k0") == [b"%d" % n for n in range(20, ROWS)]


@pytest.mark.parametrize("is_given_away", [True, False])
def test_what_is_told_of_a_position_before_a_restart_counts_no_more(is_given_away: bool) -> None:
    log = cluster()
    run = running(log, copies(), WorkerLimits(commit_interval_s=20))
    while not run.worker.tasks:
        run.worker.step()
    run.worker._processing.lost.note({A: 500})
    if is_given_away:
        run.member.events.extend([("revoked", [A]), ("assigned", [A])])
    else:
        run.member.trouble = TransactionAborted("planted")
    run.until_idle()
    assert set(statuses(run).values()) == {TaskStatus.RUNNING}
    assert len(written(log, b"k0")) == ROWS


def test_a_position_that_is_there_after_all_is_read_again() -> None:
    """A broker that was behind when it was asked for the records."""
    log = cluster()
    run = running(log, copies())
    while not run.worker.tasks:
        run.worker.step()
    run.worker._processing.lost.note({A: 20})
    run.until_idle()
    assert [str(error) for error in run.hooks.aborts] == ["in[0]@20 was told to be gone, and is there; reading again"]
    assert set(statuses(run).values()) == {TaskStatus.RUNNING}
    assert len(written(log, b"k0")) == ROWS


def test_whoever_was_overtaken_does_not_take_what_its_successor_has_dealt_with_for_a_loss() -> None:
    """It stood still, and reads on before it hears that it is out of the group: it stopped for good before."""
    log = cluster(1)
    run = running(log, copies(), WorkerLimits(max_batch_records=30))
    run.until_idle()
    (task,) = run.worker.tasks.values()
    log.inputs[A] += [(n, b"k0", b"%d" % n, n) for n in range(ROWS, 2 * ROWS)]
    metadata = OffsetMetadata(sequence=1, writer="p.1.0", owner_epoch=task.committed.owner_epoch + 1)
    log.offsets[A] = Committed(150, str(metadata))
    delete_before(log, A, 150)
    run.member.stuck.clear()
    for _ in range(5):
        run.worker.step()
    assert set(statuses(run).values()) == {TaskStatus.RUNNING}
    assert "is gone, and task in[0] is somebody else's by now" in str(run.hooks.aborts[-1])
    run.member.events.extend([("lost", [A]), ("assigned", [A])])
    run.until_idle()
    assert log.position_of(A) == 2 * ROWS
    assert written(log, b"k0")[-50:] == [b"%d" % n for n in range(150, 2 * ROWS)]
    assert set(statuses(run).values()) == {TaskStatus.RUNNING}


def test_a_broker_that_does_not_say_what_it_has_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log = cluster()
    log.offsets[A] = Committed(5, "")
    delete_before(log, A, 20)
    run = running(log, copies())
    answers = iter([True, True, False])

    def end_offsets(partition: Partition) -> tuple[int, int]:
        assert partition == A
        if next(answers):
            raise KafkaUnavailable("planted")
        return 20, ROWS

    while not run.worker.tasks:
        run.worker.step()
    monkeypatch.setattr(run.worker._processing.lost, "_end_offsets", end_offsets)
    run.until_idle()
    assert statuses(run) == {"in[0]": TaskStatus.STOPPED, "in[1]": TaskStatus.RUNNING}
    assert len(run.hooks.aborts) == 2
    assert written(log, b"k1") == [b"%d" % n for n in range(ROWS)]
