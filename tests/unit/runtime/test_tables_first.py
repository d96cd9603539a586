"""A task that never processed a record of a stream reads its tables to their end first, whatever the timestamps."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.dsl.pipeline import Pipeline
from penstock.errors import DuplicateIdentity, Fenced, OperatorMustDecide, OutcomeUnknown, TransactionAborted
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.schemas.topic import Topic
from penstock.state.commit_record import CommitRecord, decode, encode
from tests.unit.runtime.in_memory import Cluster, Fault, Row, Running, running

ORDERS = Topic("orders", key=str, value=str)
NAMES = Topic("names", key=str, value=str, config={"retention.ms": "-1"})
TITLES = Topic("titles", key=str, value=str, config={"retention.ms": "-1"})
MATCHED = Topic("matched", key=str, value=str)
STREAM, TABLE = ("orders", 0), ("names", 0)
KEYS = 5


def joined() -> Pipeline:
    """Each order with the name of its key, or with a dash."""
    made = Pipeline("p")
    names = made.table(NAMES, name="names")
    made.stream(ORDERS).left_join(names, lambda order, name: f"{order} {name or '-'}").to(MATCHED)
    return made


def orders(count: int, timestamp_ms: int = 0, offset: int = 0) -> list[Row]:
    return [(offset + n, b"k%d" % (n % KEYS), b"o%d" % (offset + n), timestamp_ms + n) for n in range(count)]


def names(version: str, timestamp_ms: int = 1_000_000, offset: int = 0) -> list[Row]:
    return [(offset + n, b"k%d" % n, f"{version}{n}".encode(), timestamp_ms + n) for n in range(KEYS)]


def matches(log: Cluster) -> list[str]:
    return [(value or b"").decode() for value in log.values("matched")]


def append(run: Running, log: Cluster, partition: Partition, rows: list[Row]) -> None:
    log.inputs[partition] += rows
    run.member.start({partition: rows[0][0]})


def test_a_table_that_was_published_after_the_stream_matches_all_of_it() -> None:
    """Two versions of each name: the latter holds for every order, and the table is whole before the first."""
    log = Cluster({STREAM: orders(20), TABLE: [*names("a"), *names("b", 2_000_000, KEYS)]})
    running(log, joined(), WorkerLimits(max_batch_records=3)).until_idle()
    assert matches(log) == [f"o{n} b{n % KEYS}" for n in range(20)]


def test_afterwards_the_order_is_that_of_the_timestamps() -> None:
    """Also for a worker that starts again: the table's change of later does not count for the order of before."""
    log = Cluster({STREAM: orders(10), TABLE: names("a")})
    running(log, joined()).until_idle()
    log.inputs[TABLE] += names("b", 3_000_000, KEYS)
    log.inputs[STREAM] += orders(5, 2_000_000, 10) + orders(5, 4_000_000, 15)
    running(log, joined(), WorkerLimits(max_batch_records=4)).until_idle()
    assert matches(log)[10:] == [
        *(f"o{n} a{n % KEYS}" for n in range(10, 15)),
        *(f"o{n} b{n % KEYS}" for n in range(15, 20)),
    ]


def test_while_no_order_came_the_table_goes_first_however_often_the_worker_starts() -> None:
    log = Cluster({STREAM: [], TABLE: names("a")})
    for _ in range(3):
        running(log, joined()).until_idle()
    log.inputs[TABLE] += names("b", 5_000_000, KEYS)
    log.inputs[STREAM] += orders(5)
    running(log, joined()).until_idle()
    assert matches(log) == [f"o{n} b{n}" for n in range(5)]


def test_several_tables_are_read_to_their_ends_in_the_order_of_their_timestamps() -> None:
    log = Cluster({STREAM: orders(5), TABLE: names("a"), ("titles", 0): names("t", 500_000)})
    made = Pipeline("p")
    table = made.table(NAMES, name="names")
    titles = made.table(TITLES, name="titles")
    first = made.stream(ORDERS).left_join(table, lambda order, name: f"{order} {name or '-'}", name="first")
    first.left_join(titles, lambda order, title: f"{order} {title or '-'}", name="second").to(MATCHED)
    running(log, made, WorkerLimits(max_batch_records=2)).until_idle()
    assert matches(log) == [f"o{n} a{n} t{n}" for n in range(5)]


def test_a_record_that_stops_the_task_before_any_was_processed_leaves_the_tables_first() -> None:
    """The policy stops it at the first order. What the table has got when the code is mended counts for that one."""
    log = Cluster({STREAM: [(0, b"k0", b"\xff", 0)], TABLE: names("a")})
    with pytest.raises(OperatorMustDecide, match=r"orders\[0\]@0"):
        running(log, joined()).until_idle()
    log.inputs[TABLE] += names("b", 5_000_000, KEYS)
    log.inputs[STREAM] = orders(1)
    running(log, joined()).until_idle()
    assert matches(log) == ["o0 b0"]


def test_work_on_the_first_orders_that_is_discarded_begins_with_the_tables_again() -> None:
    """Table and orders are in one transaction, and are read again from the start."""
    log = Cluster({STREAM: orders(20), TABLE: [*names("a"), *names("b", 2_000_000, KEYS)]})
    run = running(log, joined(), WorkerLimits(max_batch_records=5, commit_interval_s=20))
    while log.calls["produce"] < 3:
        run.worker.step()
    log.faults["flush", log.calls["flush"] + 1] = "aborted"
    run.until_idle()
    assert run.hooks.aborts
    assert matches(log) == [f"o{n} b{n % KEYS}" for n in range(20)]


def test_a_commit_record_of_a_release_that_did_not_know_it_means_that_streams_have_begun() -> None:
    """Its task has been at work: merging by time must go on."""
    record = CommitRecord(
        next_offsets={"a": 1},
        sequence=1,
        writer="p.0",
        owner_epoch=1,
        stream_time_ms=None,
        digest=bytes(16),
        topology="t",
    )
    assert record.streams_begun
    assert decode(encode(record).replace(b"\xadstreams_begun\xc3", b"").replace(b"\x89", b"\x88", 1), "here") == record


CALLS = st.sampled_from(["init", "begin", "produce", "flush", "offsets", "commit"])
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["retriable", "aborted", "fenced", "unknown, done", "unknown, lost"])


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.tuples(CALLS, st.integers(1, 20)), FAULTS, max_size=5),
    st.lists(st.integers(1, 12), max_size=4),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_the_first_order_meets_the_whole_table_however_often_the_worker_dies_before(
    faults: dict[tuple[str, int], Fault], lives: list[int], size: int, chance: random.Random
) -> None:
    """Processes that end after some steps, in the middle of the table and of the stream; faults of every call."""
    stamps = [chance.randrange(100) for _ in range(20)]
    stream: list[Row] = [(n, k, v, stamps[n]) for n, k, v, _ in orders(20)]
    log = Cluster({STREAM: stream, TABLE: [*names("a", 40), *names("b", 60, KEYS)]})
    log.faults = faults
    limits = WorkerLimits(max_batch_records=size, commit_interval_s=0.1)
    for steps in [*lives, 0, 0, 0, 0, 0, 0]:
        run = running(log, joined(), limits)
        try:
            if steps:
                for _ in range(steps):
                    run.worker.step()
                    run.clock.now_s += 0.06
                continue  # as with SIGKILL: nothing of it is called again
            run.until_idle()
        except (DuplicateIdentity, TransactionAborted, OutcomeUnknown, Fenced):
            continue
        break
    assert matches(log) == [f"o{n} b{n % KEYS}" for n in range(20)]
