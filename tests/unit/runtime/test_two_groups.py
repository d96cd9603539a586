"""Two task groups with a repartition topic between them, on one worker: exactly once through both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.dsl.pipeline import Pipeline
from penstock.errors import DuplicateIdentity, Fenced, OperatorMustDecide, OutcomeUnknown, TransactionAborted
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.operators.repartition_records import TimeMark, decode_mark
from penstock.record import Record
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.stream_time import NO_TIME_YET
from penstock.runtime.task import TaskId
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster, Fault, Row, Running, running

BETWEEN = "p.by-digit.repartition"
UPSTREAM, DOWNSTREAM = 3, 2
ROWS = 15
IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=str)


def cluster(rows: int = ROWS, upstream: int = UPSTREAM) -> Cluster:
    """Numbers, spread over the input's partitions; the topic in between is empty."""
    inputs: dict[Partition, list[Row]] = {("in", p): [] for p in range(upstream)}
    for n in range(rows):
        place = inputs["in", n % upstream]
        place.append((len(place), b"k", b"%d" % n, n))
    return Cluster(inputs | {(BETWEEN, p): list[Row]() for p in range(DOWNSTREAM)})


def by_digit() -> Pipeline:
    """How many numbers there are for each last digit, and their sum."""
    made = Pipeline("p")
    digits = made.stream(IN, timestamp=int).key_by(lambda n: n[-1], name="by-digit")
    sums = digits.aggregate(lambda: (0, 0), added, name="sums", value=tuple[int, int])
    sums.to_stream().map(lambda found: f"{found[0]} {found[1]}").to(OUT)
    return made


def added(so_far: tuple[int, int], number: str) -> tuple[int, int]:
    return so_far[0] + 1, so_far[1] + int(number)


def expected() -> dict[bytes, tuple[int, int]]:
    """{digit: how many, their sum}."""
    found: dict[bytes, tuple[int, int]] = {}
    for n in range(ROWS):
        found[b"%d" % (n % 10)] = added(found.get(b"%d" % (n % 10), (0, 0)), str(n))
    return found


def check(log: Cluster, due: dict[bytes, tuple[int, int]]) -> None:
    """For each key every count from one on, in order, once; and in the end the sum."""
    seen: dict[bytes, tuple[int, int]] = {}
    for records, _ in log.transactions:
        for record in records:
            if record.topic == "out":
                count, total = map(int, (record.value or b"").split())
                assert count == seen.get(record.key or b"", (0, 0))[0] + 1
                seen[record.key or b""] = count, total
    assert seen == due


def settled(log: Cluster, run: Running) -> None:
    """Run until the groups stand at the ends of everything."""
    for _ in range(60):
        run.until_idle()
        if all(log.position_of(p) == log.end(p) for p in log.inputs):
            return
    raise AssertionError({p: (log.position_of(p), log.end(p)) for p in log.inputs})


def outputs(log: Cluster) -> list[bytes]:
    """What was written, sorted: tasks go on beside each other."""
    return sorted(value or b"" for value in log.values("out"))


def told(log: Cluster, partition: int) -> list[TimeMark]:
    """The time marks of a partition of the topic in between."""
    where = (BETWEEN, partition)
    rows = [
        row for row in log.inputs[where] if any(name == "penstock.control" for name, _ in log.headers[where, row[0]])
    ]
    return [decode_mark(row[2], "here") for row in rows]


def test_every_number_is_counted_once_under_its_digit() -> None:
    log = cluster()
    run = running(log, by_digit(), WorkerLimits(max_batch_records=4))
    settled(log, run)
    check(log, expected())
    assert set(run.worker.tasks) == {
        *(TaskId("in", p) for p in range(UPSTREAM)),
        *(TaskId("by-digit", p) for p in range(DOWNSTREAM)),
    }


def test_each_transaction_tells_every_partition_how_far_in_time_its_tasks_are_and_repeats_nothing() -> None:
    log = cluster()
    settled(log, running(log, by_digit(), WorkerLimits(max_batch_records=2)))
    first, second = told(log, 0), told(log, 1)
    assert first == second
    for task in range(UPSTREAM):
        times_ms = [mark.stream_time_ms for mark in first if mark.task == task]
        assert times_ms == sorted(set(times_ms))
        assert times_ms[-1] == ROWS - UPSTREAM + task, "its last number's time"
    assert {mark.tasks for mark in first} == {UPSTREAM}


def test_a_mark_stands_behind_the_records_it_speaks_of() -> None:
    log = cluster()
    settled(log, running(log, by_digit(), WorkerLimits(max_batch_records=2)))
    for partition in range(DOWNSTREAM):
        where = (BETWEEN, partition)
        known: dict[int, int] = {}
        for offset, _, value, _ in log.inputs[where]:
            headers = dict(log.headers[where, offset])
            if "penstock.control" in headers:
                mark = decode_mark(value, "here")
                known[mark.task] = mark.stream_time_ms
            else:
                number = int(value or b"")
                assert known.get(number % UPSTREAM, -1) < number


def test_a_mark_has_the_timestamp_of_the_last_record_before_it() -> None:
    """So that a task which merges its inputs by timestamp does not wait for what comes after."""
    log = cluster()
    settled(log, running(log, by_digit(), WorkerLimits(max_batch_records=2)))
    stamps = {
        (decode_mark(value, "here").task, timestamp_ms)
        for offset, _, value, timestamp_ms in log.inputs[BETWEEN, 0]
        if "penstock.control" in dict(log.headers[(BETWEEN, 0), offset])
    }
    assert stamps <= {(n % UPSTREAM, n) for n in range(ROWS)}
    assert len(stamps) > UPSTREAM


def test_a_restart_that_reads_nothing_says_its_time_again_and_writes_no_more_than_that() -> None:
    """A repartition that is new would not hear of it otherwise. And one group's marks do not set off the other's."""
    log = cluster()
    settled(log, running(log, by_digit()))
    before, marks = len(log.transactions), len(told(log, 0))
    again = running(log, by_digit())
    settled(log, again)
    assert sorted(mark.stream_time_ms for mark in told(log, 0)[marks:]) == [12, 13, 14]
    outputs = [w for records, _ in log.transactions[before:] for w in records if w.topic == "out"]
    assert outputs == []
    still = len(log.transactions)
    for _ in range(20):
        again.worker.step()
        again.clock.now_s += 1
    assert len(log.transactions) == still


def test_time_behind_is_that_of_the_slowest_in_front_and_survives_a_restart() -> None:
    log = cluster()
    held = log.inputs["in", 1]
    log.inputs["in", 1] = []
    settled(log, running(log, by_digit()))
    log.inputs["in", 1] = held[:2]
    run = running(log, by_digit())
    settled(log, run)
    times = {str(task.id): task.committed.time for task in run.worker.tasks.values()}
    assert times["by-digit[0]"] == times["by-digit[1]"]
    assert times["by-digit[0]"].now_ms == 4
    assert times["by-digit[0]"].clocks == {BETWEEN: (12, 4, 14)}
    restarted = running(log, by_digit())
    # Without those in front, which would tell it anew.
    restarted.member.events.clear()
    restarted.member.events.append(("assigned", [(BETWEEN, 0), (BETWEEN, 1)]))
    while len(restarted.worker.tasks) < DOWNSTREAM:
        restarted.worker.step()
    found = {str(task.id): task.committed.time for task in restarted.worker.tasks.values()}
    assert found == {name: time for name, time in times.items() if name.startswith("by-digit")}


def test_a_stateless_task_in_front_keeps_its_time_over_a_restart() -> None:
    """It stands beside its offsets: the next record may be an old one."""
    log = cluster()
    settled(log, running(log, by_digit()))
    log.inputs["in", 0].append((ROWS // UPSTREAM, b"k", b"3", 3))
    run = running(log, by_digit())
    settled(log, run)
    assert run.worker.tasks[TaskId("in", 0)].committed.time.now_ms == 12
    assert {mark.stream_time_ms for mark in told(log, 0) if mark.task == 0} == {12}


def lateness() -> Pipeline:
    """Numbers that are more than four behind stream time are late; the others are counted."""

    @processor()
    def judge(record: Record[str, str], ctx: Context) -> Iterator[Record[str, str]]:
        assert ctx.stream_time_ms >= 0 or ctx.stream_time_ms == NO_TIME_YET
        if ctx.event_time_ms < ctx.stream_time_ms - 4:
            yield record.with_value(f"late {record.value}")
        else:
            yield record.with_value(record.value)

    made = Pipeline("p")
    stream = made.stream(IN, timestamp=int)
    stream.key_by(lambda n: n[-1], name="by-digit", value=str).process(judge).to(OUT)
    return made


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("stalled", [0, 1, 2])
def test_an_upstream_task_that_stands_still_for_the_whole_run_changes_nothing_behind_it(
    stalled: int, size: int
) -> None:
    """Its records come when all others are done, weeks behind them in event time; none of them is late."""
    log = cluster(rows=45)
    alone = cluster(rows=45)
    settled(alone, running(alone, lateness(), WorkerLimits(max_batch_records=size)))

    run = running(log, lateness(), WorkerLimits(max_batch_records=size))
    held, log.inputs["in", stalled] = log.inputs["in", stalled], []
    settled(log, run)
    assert len(log.values("out")) == 30
    log.inputs["in", stalled] = held
    settled(log, running(log, lateness(), WorkerLimits(max_batch_records=size)))

    assert outputs(log) == outputs(alone)
    assert outputs(log) == sorted(b"%d" % n for n in range(45))


def test_a_record_that_is_late_in_its_own_task_is_late_behind_it_too() -> None:
    """The judge above does judge."""
    log = cluster(rows=30)
    settled(log, running(log, lateness(), WorkerLimits(max_batch_records=5)))
    for p in range(UPSTREAM):
        log.inputs["in", p].append((10, b"k", b"%d" % p, 0))
    settled(log, running(log, lateness(), WorkerLimits(max_batch_records=5)))
    assert [value for value in outputs(log) if value.startswith(b"late")] == [b"late 0", b"late 1", b"late 2"]


CALLS = st.sampled_from(["init", "begin", "produce", "flush", "offsets", "commit"])
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["retriable", "aborted", "fenced", "unknown, done", "unknown, lost"])
PLACES = st.sampled_from([("in", 0), ("in", 1), (BETWEEN, 0), (BETWEEN, 1)])
MOVES = st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["revoked", "lost"]), PLACES, st.booleans()), max_size=5)


def go(run: Running, moves: list[tuple[int, str, Partition, bool]]) -> None:
    for step in range(1, 41):
        for at, kind, partition, behind in moves:
            if at == step and partition in run.member.paused | run.member.fetches_at.keys():
                run.member.happens_behind_records = behind
                run.member.events.append(("revoked" if kind == "revoked" else "lost", [partition]))
                run.member.events.append(("assigned", [partition]))
        run.worker.step()
        run.clock.now_s += 0.05


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.tuples(CALLS, st.integers(1, 14)), FAULTS, max_size=5), MOVES, st.integers(1, 6))
def test_every_record_once_through_both_groups_under_faults_and_rebalances(
    faults: dict[tuple[str, int], Fault], moves: list[tuple[int, str, Partition, bool]], size: int
) -> None:
    log = cluster()
    log.faults = faults
    for _ in range(12):
        run = running(log, by_digit(), WorkerLimits(max_batch_records=size))
        try:
            go(run, moves)
            settled(log, run)
        except (DuplicateIdentity, TransactionAborted, OutcomeUnknown, Fenced):
            continue  # the process has ended, and is started again
        break
    check(log, expected())


def test_what_an_aborted_transaction_sent_is_never_seen_behind() -> None:
    log = cluster()
    log.faults = {("flush", n): "aborted" for n in range(2, 8)}
    run = running(log, by_digit(), WorkerLimits(max_batch_records=3))
    settled(log, run)
    assert len(run.hooks.aborts) == 6
    check(log, expected())


def test_a_worker_whose_input_has_stopped_ends_when_what_is_behind_has_done_the_rest() -> None:
    """Exit code 5: the tasks behind are not to wait for ever for tasks that stand still."""
    log = cluster(rows=5, upstream=1)
    log.inputs["in", 0][2] = (2, b"k", b"bad", 2)
    run = running(log, by_digit())
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@2"):
        settled(log, run)
    assert outputs(log) == [b"1 0", b"1 1"]
    assert log.position_of((BETWEEN, 0)) == log.end((BETWEEN, 0))


def test_a_record_that_fails_behind_names_where_it_came_from() -> None:
    log = cluster()
    made = Pipeline("p", on_error="dead_letter")
    digits = made.stream(IN).key_by(lambda n: n[-1], name="by-digit")
    digits.map(lambda n: 1 // (int(n) - 7)).map(str).to(OUT)
    settled(log, running(log, made))
    letters = [w for records, _ in log.transactions for w in records if w.topic == f"dlq.{BETWEEN}"]
    (headers,) = [dict(letter.headers) for letter in letters]
    assert headers["penstock.dlq.origin"] == b"in[1]@2"
    assert headers["__dlq.errors.topic"] == BETWEEN.encode()
