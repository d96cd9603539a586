"""A transaction is committed when it is old enough or large enough: by records, or by bytes of whatever kind."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster, Running, running
from tests.unit.runtime.sums import IN, OUT, A

ROWS, VALUE_BYTES = 40, 1_000
AT_ONCE = WorkerLimits(commit_interval_s=20, max_batch_records=4, max_transaction_bytes=10_000)
"""Two batches of four records and one more: 12,000 bytes, since a batch is not cut."""


def cluster(value: bytes = b"v" * VALUE_BYTES, partitions: int = 1) -> Cluster:
    rows = [(n, b"k%d" % n, value, n) for n in range(ROWS)]
    return Cluster({("in", p): list(rows) for p in range(partitions)})


def copies() -> Pipeline:
    made = Pipeline("p")
    made.stream(IN).to(OUT)
    return made


def states() -> Pipeline:
    """Writes nothing but its state."""
    made = Pipeline("p")
    made.stream(IN).reduce(lambda _, new: new, name="latest", value=str)
    return made


def dead_letters() -> Pipeline:
    made = Pipeline("p", on_error="dead_letter")
    made.stream(IN).map(int, name="parse").map(str, name="show").to(OUT)
    return made


def steps(run: Running, count: int = 40) -> None:
    """Enough of them for all records; time stands still, so the interval never ends."""
    for _ in range(count):
        run.worker.step()


def positions(log: Cluster) -> list[int]:
    """Committed by each transaction, the claim left out."""
    return [offsets[A][0] for _, offsets in log.transactions[1:]]


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        (copies(), [12, 24, 36]),
        (states(), [12, 24, 36]),
        (dead_letters(), [8, 16, 24, 32, 40]),  # with their headers they are more than half as large again
    ],
)
def test_what_a_transaction_holds_is_bounded_by_bytes(pipeline: Pipeline, expected: list[int]) -> None:
    log = cluster()
    steps(running(log, pipeline, AT_ONCE))
    assert positions(log) == expected


def test_values_that_are_small_are_not_committed_before_their_time() -> None:
    log = cluster(b"v")
    run = running(log, copies(), AT_ONCE)
    steps(run)
    assert positions(log) == []
    run.until_idle()
    assert positions(log) == [ROWS]


def test_the_records_of_several_tasks_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at between two of them, not only when each has had its turn."""
    log = cluster(partitions=3)
    limits = WorkerLimits(commit_interval_s=20, max_batch_records=4, max_transaction_records=8)
    run = running(log, copies(), limits)
    with monkeypatch.context() as held:
        held.setattr(run.worker._processing, "step", lambda _: None)
        steps(run)
    run.until_idle()
    sizes = [len([w for w in written if w.topic == "out"]) for written, _ in log.transactions]
    assert max(sizes) == 8
    assert sum(sizes) == 3 * ROWS


def test_what_was_discarded_does_not_count() -> None:
    log = cluster()
    log.faults["produce", 2] = "aborted"
    run = running(log, copies(), AT_ONCE)
    steps(run)
    assert run.hooks.aborts
    assert positions(log) == [12, 24, 36]


def test_a_record_that_is_done_again_alone_counts_once() -> None:
    """The batch that failed as a whole left nothing in the overlay."""
    log = cluster()
    log.inputs[A][1] = (1, b"k", b"x", 1)
    made = Pipeline("p", on_error="dead_letter")
    latest = made.stream(IN).map(_checked, name="check").reduce(lambda _, new: new, name="latest", value=str)
    latest.to_stream().filter(lambda _: False).to(Topic("nothing", key=str, value=str))
    run = running(log, made, AT_ONCE)
    steps(run)
    assert positions(log)[0] == 12


def _checked(text: str) -> str:
    if text == "x":
        raise ValueError
    return text
