"""A record that only the broker refuses: it is found, its policy decides, and everything else is as without it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.errors import DuplicateIdentity, Fenced, OperatorMustDecide, OutcomeUnknown, TransactionAborted
from penstock.operators.topic_bounds import TopicBounds
from penstock.protocols import RefusedRecord
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.suspects import Suspects
from penstock.runtime.task import TaskId, TaskStatus
from penstock.schemas.topic import Topic
from penstock.topology.node import Policy
from tests.unit.runtime.in_memory import Cluster, Fault, Running, Written, running
from tests.unit.runtime.test_task import a_task, feed, rows

IN, OUT = Topic("in", key=str, value=str), Topic("out", key=str, value=str)
A, B = ("in", 0), ("in", 1)
ROWS = 40


def cluster(partitions: int = 1, rows: int = ROWS) -> Cluster:
    return Cluster(
        {("in", p): [(n + n // 7, b"k%d" % p, b"%d" % (n + 1), n) for n in range(rows)] for p in range(partitions)}
    )


def sums(on_error: Policy = "dead_letter") -> Pipeline:
    """What is written holds the number and the sum up to it."""
    made = Pipeline("p", on_error=on_error)
    numbers = made.stream(IN).map(int, name="parse")
    total = numbers.aggregate(list[int], lambda pair, n: [n, sum(pair[1:]) + n], name="sum", value=list[int])
    total.to_stream().map(lambda pair: f"{pair[0]} {pair[1]}", name="show").to(OUT)
    return made


def refusing(*numbers: int) -> object:
    """A topic that takes everything but the records of these."""
    wanted = {b"%d" % n for n in numbers}

    def refuses(record: Written) -> str | None:
        return "no key" if record.topic == "out" and (record.value or b"").split()[0] in wanted else None

    return refuses


def expected(left_out: set[int], rows: int = ROWS) -> list[bytes]:
    total, found = 0, []
    for n in range(1, rows + 1):
        if n not in left_out:
            total += n
            found.append(b"%d %d" % (n, total))
    return found


def dead(log: Cluster, topic: str = "dlq.in") -> list[Written]:
    return [w for written, _ in log.transactions for w in written if w.topic == topic]


def start(log: Cluster, pipeline: Pipeline, size: int = 1_000) -> Running:
    return running(log, pipeline, WorkerLimits(max_batch_records=size))


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("culprits", [{1}, {17}, {40}, {3, 4, 5}, {1, 40}, set(range(10, 30))])
def test_what_a_topic_refuses_is_set_aside_and_its_neighbours_are_as_without_it(culprits: set[int], size: int) -> None:
    """Outputs, state and dead letters, each once; the offset is behind all of them."""
    log = cluster()
    log.refuses = refusing(*culprits)  # type: ignore[assignment]
    run = start(log, sums(), size)
    run.until_idle()
    assert log.values("out") == expected(culprits)
    assert [w.value for w in dead(log)] == [b"%d" % n for n in sorted(culprits)]
    assert log.position_of(A) == log.inputs[A][-1][0] + 1


def test_the_dead_letter_says_which_topic_refused_and_why() -> None:
    log = cluster()
    log.refuses = refusing(17)  # type: ignore[assignment]
    start(log, sums()).until_idle()
    (letter,) = dead(log)
    headers = dict(letter.headers)
    assert headers["penstock.dlq.stage"] == b"sink"
    assert headers["penstock.dlq.reason"] == b"refused"
    assert headers["__dlq.errors.offset"] == b"18"
    assert headers["__dlq.errors.message"] == b"topic 'out' refuses what it came to: no key"


def test_the_policy_may_be_to_stop_in_front_of_it() -> None:
    log = cluster()
    log.refuses = refusing(17)  # type: ignore[assignment]
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@18 failed at 'to-out' \(stage sink\): topic 'out' refuses"):
        start(log, sums("fail")).until_idle()
    assert log.position_of(A) == 18
    assert log.values("out") == expected(set(range(17, 41)))
    log.refuses = lambda _: None
    start(log, sums("fail")).until_idle()
    assert log.values("out") == expected(set())


def test_the_policy_is_that_of_the_step_that_writes() -> None:
    made = Pipeline("p")
    made.stream(IN).to(OUT, on_error="dead_letter")
    log = cluster()
    log.refuses = refusing(17)  # type: ignore[assignment]
    start(log, made).until_idle()
    assert [w.value for w in dead(log)] == [b"17"]


def test_it_is_found_by_halves_and_then_all_is_as_before() -> None:
    """The number of transactions discarded grows with the logarithm; what comes later is not in small ones."""
    rows = 2_000
    log = cluster(rows=rows)
    log.refuses = refusing(1_234)  # type: ignore[assignment]
    run = running(log, sums(), WorkerLimits(max_batch_records=500, commit_interval_s=20.0))
    run.until_idle()
    assert len(run.hooks.aborts) <= math.log2(rows) + 2
    assert log.values("out") == expected({1_234}, rows)
    before = len(log.transactions)
    log.inputs[A] += [(10_000 + n, b"k0", b"1", 0) for n in range(5_000)]
    run.member.start({A: 10_000})
    run.until_idle()
    assert len(log.transactions) <= before + 2


def test_the_other_tasks_go_on_meanwhile() -> None:
    """What a task does that is no suspect, or is none any more, is not held up."""
    log = cluster(partitions=2)
    log.refuses = lambda w: "no key" if w.topic == "out" and w.key == b"k0" and w.value == b"17 153" else None
    run = start(log, sums())
    run.until_idle()
    found = {
        key: [w.value for ws, _ in log.transactions for w in ws if (w.topic, w.key) == ("out", key)]
        for key in (b"k0", b"k1")
    }
    assert found == {b"k0": expected({17}), b"k1": expected(set())}
    assert {task.status for task in run.worker.tasks.values()} == {TaskStatus.RUNNING}


@pytest.mark.parametrize(("call", "fault"), [("flush", "aborted"), ("commit", "unknown, done")])
def test_a_record_that_was_alone_when_something_else_failed_is_not_blamed_for_the_next(
    call: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """The other task's transaction is refused right after that."""
    log = cluster(partitions=2)
    log.inputs[A], later = [], log.inputs[A]
    log.refuses = refusing(17)  # type: ignore[assignment]
    run = start(log, sums(), 10)
    while not run.hooks.aborts:
        run.worker.step()
        run.clock.now_s += 1
    while run.worker._processing.suspects.limit(TaskId("in", 1)) != 1:
        run.worker.step()
    log.faults[call, log.calls[call] + 1] = fault
    run.worker.step()
    log.inputs[A] = [row for row in later if row[2] == b"17"]
    run.member.start({A: 0})
    run.until_idle()
    assert sorted(w.value or b"" for w in dead(log)) == [b"17", b"17"]
    blamed = {record.args[:3] for record in caplog.records if "refuses %s" in record.msg and record.args}  # type: ignore[index]
    assert blamed == {("in", 0, 18), ("in", 1, 18)}


@pytest.mark.parametrize(
    ("refuses", "held"),
    [
        (lambda w: "penstock.dlq.stack" in dict(w.headers), (True, True)),
        (lambda w: w.value is not None, (True, False)),
        (lambda w: w.key is not None, (False, False)),
        (lambda w: w.timestamp_ms != 0, (False, False)),
    ],
)
def test_a_dead_letter_that_is_refused_holds_less_until_it_is_taken(refuses: object, held: tuple[bool, bool]) -> None:
    """Without the stack, without the value, and at last a pointer to the original; the place is told in all of them."""
    log = cluster()
    log.inputs[A][16] = (18, b"k0", b"bad", 16)
    log.refuses = lambda w: "too large" if w.topic == "dlq.in" and refuses(w) else None  # type: ignore[operator]
    start(log, sums()).until_idle()
    (letter,) = dead(log)
    headers = dict(letter.headers)
    assert (letter.key is not None, letter.value is not None) == held
    assert headers["__dlq.errors.offset"] == b"18"
    assert headers["penstock.dlq.stage"] == b"process"
    assert headers.get("penstock.dlq.truncated.bytes") == (None if letter.value else b"3")
    assert headers.get("penstock.dlq.timestamp") == (None if letter.key else b"16")
    assert log.values("out") == expected({17})


@pytest.mark.parametrize("is_output", [True, False])
def test_a_dead_letter_that_is_refused_in_every_form_stops_the_task(is_output: bool) -> None:
    log = cluster()
    refuses_output = refusing(17)
    if not is_output:
        log.inputs[A][16] = (18, b"k0", b"bad", 16)
    log.refuses = lambda w: "full" if w.topic == "dlq.in" else refuses_output(w)  # type: ignore[operator]
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@18 .*topic 'dlq.in' refuses its dead letter in every form"):
        start(log, sums()).until_idle()
    assert log.position_of(A) == 18
    log.refuses = lambda _: None
    start(log, sums()).until_idle()
    assert log.values("out") == expected(set() if is_output else {17})


def test_a_changelog_that_refuses_stops_the_task_whatever_the_policy() -> None:
    """To set the record aside would lose it for a setting of ours."""
    log = cluster(rows=17)
    log.refuses = lambda w: "too large" if w.topic == "in.changelog" and b"\x11" in (w.value or b"")[:4] else None
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@18 failed at stage state: topic 'in.changelog' refuses"):
        start(log, sums()).until_idle()
    assert log.position_of(A) == 18
    assert not dead(log)


def test_a_claim_that_is_refused_ends_the_worker() -> None:
    log = cluster()
    log.refuses = lambda w: "too large" if w.topic == "in.changelog" else None
    with pytest.raises(OperatorMustDecide, match=r"topic 'in.changelog' refuses a record of ours: too large"):
        start(log, sums()).until_idle()


def test_a_topic_that_takes_less_than_before_is_asked_once() -> None:
    """Its bounds are looked up after the first refusal; from then on what is too large is known before it is sent."""
    log = cluster()
    log.refuses = lambda w: "too large" if w.topic == "out" and w.size_bytes > 6 else None
    log.bounds["out"] = TopicBounds(6)
    run = start(log, sums())
    run.until_idle()
    assert len(run.hooks.aborts) == 1
    assert {dict(w.headers)["penstock.dlq.reason"] for w in dead(log)} == {b"oversize"}
    assert len(dead(log)) + len(log.values("out")) == ROWS
    assert dead(log)
    assert log.values("out")


def test_a_suspect_that_is_given_away_is_nobodys_business_here() -> None:
    log = cluster(partitions=2)
    log.refuses = refusing(17)  # type: ignore[assignment]
    run = start(log, sums())
    while not run.hooks.aborts:
        run.worker.step()
        run.clock.now_s += 1
    run.member.events.extend([("revoked", [A]), ("assigned", [A])])
    run.until_idle()
    assert sorted(w.value or b"" for w in dead(log)) == [b"17", b"17"]
    assert len(log.values("out")) == 2 * (ROWS - 1)


# ---------------------------------------------------------------- the search itself

REFUSED = [RefusedRecord("out", b"k", b"v", "no key", is_certain=False)]


class AtWork:
    """A task of two inputs whose transaction with two records of each was refused; its next ones are made by hand."""

    def __init__(self) -> None:
        self.task = a_task()
        self.id = self.task.id
        self.suspects = Suspects(lambda source: f"dlq.{source}")
        self.process(rows("1", "2"))
        self.process(rows("3", "4", offset=20, topic="right"))
        self.suspects.refused(REFUSED, [self.task], 4)
        self.rewind()

    def process(self, batch: SourceBatch) -> None:
        feed(self.task, batch)
        assert self.task.run(len(batch)) is not None

    def take(self, batch: SourceBatch) -> None:
        """Process it, alone in a transaction."""
        self.process(batch)
        self.suspects.take(self.id, batch)

    def commit(self) -> None:
        self.task.prepare()
        self.task.apply()
        self.suspects.committed({self.id: self.task})

    def rewind(self) -> None:
        self.suspects.discarded()
        self.task.discard()


def test_what_was_found_stays_alone_in_its_transaction_although_another_record_comes_first() -> None:
    """The order of a merge may change while it waits: the limit must not grow over what is judged."""
    at_work = AtWork()
    assert at_work.suspects.limit(at_work.id) == 2
    at_work.take(rows("3", offset=20, topic="right"))
    at_work.suspects.refused(REFUSED, [at_work.task], 1)
    at_work.rewind()
    for value, offset in (("1", 10), ("2", 11)):
        at_work.take(rows(value, offset=offset))
        at_work.commit()
        assert list(at_work.suspects.verdicts(at_work.id)) == [("right", 0, 20)]
        assert at_work.suspects.limit(at_work.id) == 1
    at_work.take(rows("3", offset=20, topic="right"))
    at_work.commit()
    assert not at_work.suspects.verdicts(at_work.id)
    assert at_work.suspects.limit(at_work.id) is not None
    at_work.take(rows("4", offset=21, topic="right"))
    at_work.commit()
    assert at_work.suspects.limit(at_work.id) is None


def test_a_transaction_that_was_discarded_for_another_reason_blames_nobody() -> None:
    """What was alone in it is not to be judged when a later one is refused."""
    at_work = AtWork()
    at_work.take(rows("1"))
    at_work.rewind()
    at_work.process(rows("1", "2"))
    at_work.suspects.refused(REFUSED, [at_work.task], 2)
    assert not at_work.suspects.verdicts(at_work.id)


def test_a_task_that_stands_still_is_no_suspect() -> None:
    at_work = AtWork()
    at_work.suspects.forget(at_work.id)
    assert at_work.suspects.limit(at_work.id) is None


# ---------------------------------------------------------------- everything at once

CALLS = st.sampled_from(["init", "begin", "produce", "flush", "offsets", "commit"])
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["retriable", "aborted", "fenced", "unknown, done", "unknown, lost"])


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(1, ROWS), max_size=6),
    st.sets(st.integers(1, ROWS), max_size=3),
    st.dictionaries(st.tuples(CALLS, st.integers(1, 30)), FAULTS, max_size=4),
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["revoked", "lost"]), st.sampled_from([A, B])), max_size=3),
    st.integers(1, 50),
)
def test_every_record_once_whatever_else_goes_wrong_meanwhile(
    culprits: set[int],
    bad: set[int],
    faults: dict[tuple[str, int], Fault],
    moves: list[tuple[int, str, tuple[str, int]]],
    size: int,
) -> None:
    """Refused outputs, refused dead letters, faults of calls, partitions that move, and processes that end."""
    log = cluster(partitions=2)
    for partition in (A, B):
        log.inputs[partition] = [
            (o, k, b"bad" if n + 1 in bad else v, t) for n, (o, k, v, t) in enumerate(log.inputs[partition])
        ]
    refuses_output = refusing(*culprits)
    log.refuses = lambda w: "full" if w.topic == "dlq.in" and w.value == b"bad" else refuses_output(w)  # type: ignore[operator]
    log.faults = faults
    for _ in range(10):
        try:
            run = start(log, sums(), size)
            for step in range(1, 41):
                for at, kind, partition in moves:
                    if at == step and partition in run.member.paused | run.member.fetches_at.keys():
                        run.member.events.append(("revoked" if kind == "revoked" else "lost", [partition]))
                        run.member.events.append(("assigned", [partition]))
                run.worker.step()
                run.clock.now_s += 0.05
            run.until_idle()
        except (DuplicateIdentity, TransactionAborted, OutcomeUnknown, Fenced):
            continue  # the process has ended, and is started again
        break
    for key in (b"k0", b"k1"):
        found = [w.value for ws, _ in log.transactions for w in ws if (w.topic, w.key) == ("out", key)]
        assert found == expected(culprits | bad)
    assert len(dead(log)) == 2 * len(culprits | bad)
