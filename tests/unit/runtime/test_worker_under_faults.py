"""Whatever happens to whichever call, and whatever the group does meanwhile: every record once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.dsl.pipeline import Pipeline
from penstock.errors import DuplicateIdentity, Fenced, OutcomeUnknown, TransactionAborted
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster, Fault, Row, Running, running

A, B, C = ("in", 0), ("in", 1), ("in", 2)
ROWS = 14
CALLS = st.sampled_from(["init", "begin", "produce", "flush", "offsets", "commit"])
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["retriable", "aborted", "fenced", "unknown, done", "unknown, lost"])
MOVES = st.lists(
    st.tuples(st.integers(1, 25), st.sampled_from(["revoked", "lost"]), st.sampled_from([A, B, C]), st.booleans()),
    max_size=4,
)


def sums() -> Pipeline:
    made = Pipeline("p", on_error="dead_letter")
    numbers = made.stream(Topic("in", key=str, value=str)).map(int, name="parse")
    total = numbers.aggregate(int, lambda total, n: total + n, name="sum")
    total.to_stream().map(str, name="show").to(Topic("out", key=str, value=str))
    return made


def cluster() -> Cluster:
    """Three partitions; every fifth row is bad, every seventh offset a control record."""
    rows = [(n + n // 6, n) for n in range(ROWS)]
    return Cluster(
        {("in", p): [(o, b"k%d" % p, b"bad" if n % 5 == 4 else b"%d" % (n + p), n) for o, n in rows] for p in range(3)},
        ends={("in", p): rows[-1][0] + 3 for p in range(3)},
    )


def check(log: Cluster) -> None:
    """At each commit the rows before the offset, and no others, were published or set aside."""
    dealt_with = dict.fromkeys(log.inputs, 0)
    for records, offsets in log.transactions:
        for topic, _, key, *_ in records:
            if not topic.endswith(".changelog") and key is not None:
                dealt_with["in", int(key[1:])] += 1
        for partition, (offset, _) in offsets.items():
            assert sum(row[0] < offset for row in log.inputs[partition]) == dealt_with[partition]
    for p in range(3):
        numbers = [n + p for n in range(ROWS) if n % 5 != 4]
        totals = [b"%d" % sum(numbers[: n + 1]) for n in range(len(numbers))]
        found = [w.value for records, _ in log.transactions for w in records if (w.topic, w.key) == ("out", b"k%d" % p)]
        assert found == totals
    assert len(log.values("dlq.in")) == 3 * len([n for n in range(ROWS) if n % 5 == 4])


def go(run: Running, moves: list[tuple[int, str, tuple[str, int], bool]]) -> None:
    for step in range(1, 26):
        for at, kind, partition, behind in moves:
            if at == step and partition in run.member.paused | run.member.fetches_at.keys():
                run.member.happens_behind_records = behind
                run.member.events.append(("revoked" if kind == "revoked" else "lost", [partition]))
                run.member.events.append(("assigned", [partition]))
        run.worker.step()
        run.clock.now_s += 0.05
    run.until_idle()


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.tuples(CALLS, st.integers(1, 9)), FAULTS, max_size=5), MOVES, st.integers(1, 6))
def test_every_record_once_under_faults_and_rebalances(
    faults: dict[tuple[str, int], Fault], moves: list[tuple[int, str, tuple[str, int], bool]], size: int
) -> None:
    log = cluster()
    log.faults = faults
    limits = WorkerLimits(max_batch_records=size)
    for _ in range(10):
        try:
            go(running(log, sums(), limits), moves)
        except (DuplicateIdentity, TransactionAborted, OutcomeUnknown, Fenced):
            continue  # the process has ended, and is started again
        break
    check(log)


@pytest.mark.parametrize("step", ["claim", "produce", "flush", "commit", "committed", "apply"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_hook_that_raises_ends_the_worker_and_nothing_else(step: str, nth: int) -> None:
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    left = [nth]

    def raises(name: str) -> None:
        if name == step:
            left[0] -= 1
            if not left[0]:
                raise RuntimeError("planted")

    run.hooks.on_step = raises  # type: ignore[method-assign,assignment] # the hook is what is planted
    try:
        run.until_idle()
    except RuntimeError:
        running(log, sums()).until_idle()
    check(log)


def test_topics_of_different_widths_share_the_tasks_they_have() -> None:
    wide, narrow = Topic("wide", key=str, value=str), Topic("narrow", key=str, value=str)
    inputs: dict[Partition, list[Row]] = {("wide", p): [(0, b"w%d" % p, b"1", 5)] for p in range(3)}
    inputs["narrow", 0] = [(0, b"n", b"2", 1)]
    log = Cluster(inputs)
    made = Pipeline("p")
    made.stream(wide).merge(made.stream(narrow)).to(Topic("out", key=str, value=str))
    run = running(log, made)
    run.until_idle()
    assert sorted(task.sources for task in run.worker.tasks.values()) == [
        (("wide", 0), ("narrow", 0)),
        (("wide", 1),),
        (("wide", 2),),
    ]
    assert sorted(value or b"" for value in log.values("out")) == [b"1", b"1", b"1", b"2"]
