"""How much goes through a worker, and how its records stand in time."""

from __future__ import annotations

import pytest

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.monitoring import catalogue
from penstock.monitoring.task_families import task_families
from penstock.monitoring.task_view import TaskView, WorkerView
from penstock.monitoring.worker_metrics import WorkerMetrics
from penstock.runtime.hooks import BatchReport
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskId
from penstock.schemas.topic import Topic
from tests.unit.monitoring.observed_worker import IN, OUT, PLACE, ROWS, Observed, cluster, sums
from tests.unit.monitoring.parsing import scraped, value
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster

LATENCY = f"{catalogue.EVENT_LATENCY}_count"


def stamped(times_ms: list[int]) -> Cluster:
    """Records whose values are their event times; Kafka stamps them one after the other."""
    return Cluster({("in", 0): [(n, b"k", b"%d" % each, 990_000 + n) for n, each in enumerate(times_ms)]})


def copied(*, has_event_times: bool = True) -> Pipeline:
    made = Pipeline("p")
    made.stream(IN, timestamp=int if has_event_times else None).to(OUT)
    return made


@pytest.mark.parametrize("is_done_again", [False, True])
def test_bytes_are_those_of_keys_and_values_that_are_committed(is_done_again: bool) -> None:
    log = cluster(bad=5)
    if is_done_again:
        log.faults["flush", 2] = "aborted"
    seen = Observed(log, sums("dead_letter"))
    seen.run.until_idle()
    read = sum(len(key or b"") + len(value or b"") for _, key, value, _ in log.inputs["in", 0])
    written = sum(w.size_bytes for records, _ in log.transactions for w in records if w.topic == "out")
    assert seen.value(catalogue.INPUT_BYTES, topic="in") == read
    assert seen.value(catalogue.OUTPUT_BYTES, topic="out") == written
    assert seen.value(catalogue.RECORDS_ATTEMPTED) == (2 * ROWS if is_done_again else ROWS)


def test_of_a_batch_that_a_record_stops_only_what_was_before_it_counts() -> None:
    seen = Observed(cluster(bad=5), sums("dead_letter"))
    stopped = Observed(cluster(bad=5), sums("fail"))
    seen.run.until_idle()
    with pytest.raises(OperatorMustDecide):
        stopped.run.until_idle()
    assert stopped.value(catalogue.INPUT_BYTES) == 5 * len(b"k0" + b"0")
    assert stopped.value(LATENCY, clock="append") == 5
    assert seen.value(LATENCY, clock="append") == ROWS


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("is_done_again", [False, True])
def test_a_record_is_late_where_stream_time_was_past_it(batch: int, is_done_again: bool) -> None:
    """Whatever the batches are, and once however often it was processed."""
    log = stamped([10, 30, 20, 30, 40, 5, 41])
    if is_done_again:
        log.faults["flush", 2] = "aborted"
    seen = Observed(log, copied(), limits=WorkerLimits(max_batch_records=batch))
    seen.run.until_idle()
    seen.run.clock.now_s += 1
    seen.run.worker.step()
    assert seen.value(catalogue.LATE_RECORDS, topic="in") == 2
    assert seen.value(catalogue.WATERMARK) == 0.041


def test_records_in_order_are_never_late() -> None:
    seen = Observed(stamped([10, 20, 20, 30]), copied())
    seen.run.until_idle()
    assert seen.value(catalogue.LATE_RECORDS, topic="in") == 0


def test_latency_is_told_by_the_records_own_time_where_it_has_one() -> None:
    seen = Observed(stamped([980_000 + n for n in range(ROWS)]), copied())
    seen.run.until_idle()
    assert seen.value(LATENCY, clock="event") == seen.value(LATENCY, clock="append") == ROWS
    by_event, by_append = (seen.value(f"{catalogue.EVENT_LATENCY}_sum", clock=clock) for clock in ("event", "append"))
    assert by_event is not None
    assert by_append is not None
    assert by_event - by_append == pytest.approx(10 * ROWS), "each was stamped ten seconds behind its own time"


def test_latency_by_a_time_that_nobody_has_is_not_told() -> None:
    seen = Observed(stamped([980_000 + n for n in range(ROWS)]), copied(has_event_times=False))
    seen.run.until_idle()
    assert seen.value(LATENCY, clock="event") is None
    assert seen.value(LATENCY, clock="append") == ROWS


def test_partitions_that_are_not_fetched_show_while_they_are_not() -> None:
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
    seen = Observed(log, made, limits=WorkerLimits(max_batch_records=10, max_buffered_records=10))
    told = [seen.value(catalogue.PAUSED_PARTITIONS)]
    for _ in range(10):
        seen.run.worker.step()
        assert seen.value(catalogue.PAUSED_PARTITIONS) == len(seen.run.member.paused), "as the consumer has it"
        told.append(seen.value(catalogue.PAUSED_PARTITIONS))
    seen.run.until_idle()
    assert told[0] == 0
    assert 1 in told
    assert seen.value(catalogue.PAUSED_PARTITIONS) == 0


def test_of_a_source_in_which_other_things_stand_only_the_records_have_an_age() -> None:
    """Between the records of a repartition topic stand time marks."""
    clock = ManualClock()
    metrics = WorkerMetrics(PLACE, clock)
    source = SourceBatch("in", 0, [0, 1, 2], [b"k"] * 3, [b"v"] * 3, [clock.now_ms()] * 3)
    metrics.on_batch(BatchReport("in", 0, 1, 0, 0, {}, 0.1, parked=1, source=source))
    metrics.on_commit(1, 0)
    assert value(scraped(metrics.families()), LATENCY, clock="append") == 2


def test_each_group_of_tasks_has_a_time_of_its_own_that_of_its_slowest_task() -> None:
    """Else one that stands still behind a repartition topic would hide in the time of the one in front of it."""
    times_ms = {("front", 0): 5_000, ("front", 1): 4_000, ("back", 0): 1_000, ("back", 1): None}
    tasks = [TaskView(TaskId(*name), "running", (), 1, None, now_ms) for name, now_ms in times_ms.items()]
    told = scraped(task_families(WorkerView(tasks=tuple(tasks)), "p", 0))
    name = str(catalogue.WATERMARK)
    assert value(told, name, task_group="front") == 4
    assert value(told, name, task_group="back") == 1


def test_what_runs_is_told_with_the_commit_of_the_project() -> None:
    seen = Observed(cluster(), sums())
    assert seen.value(catalogue.BUILD_INFO, pipeline="p", version="1.0", commit="c0ffee", librdkafka="2.16") == 1
