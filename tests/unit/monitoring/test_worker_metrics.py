"""What the metrics of a worker say while its transactions succeed, fail and stay in doubt."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import KafkaUnavailable, OperatorMustDecide, TransactionAborted, UndecodableRecord
from penstock.kafka.statistics import Delivery, Statistics
from penstock.monitoring import catalogue
from penstock.monitoring.metric import LABELS
from penstock.monitoring.worker_metrics import WorkerMetrics
from penstock.redrive.backlog import Backlog
from penstock.runtime.hooks import BatchReport, RestoreReport
from penstock.runtime.limits import WorkerLimits
from penstock.state.changelog import split_key
from penstock.state.checkpoint_file import CheckpointHeader
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten
from penstock.supervisor.dead_letter_watch import DeadLetterWatch
from tests.unit.monitoring.observed_worker import IN, OUT, PLACE, ROWS, Observed, cluster, sums
from tests.unit.monitoring.parsing import Series, scraped, value
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Disk, Fault

A = ("in", 0)


def test_records_are_counted_by_what_became_of_them() -> None:
    seen = Observed(cluster(bad=5), sums("dead_letter"))
    seen.run.until_idle()
    outcomes = {outcome: seen.value(catalogue.RECORDS_COMMITTED, outcome=outcome) for outcome in catalogue.OUTCOMES}
    assert outcomes == {"ok": ROWS - 2, "filtered": 1, "dlq": 1, "parked": 0}
    assert seen.value(catalogue.OUTPUT_RECORDS, topic="out") == ROWS - 2
    assert seen.value(catalogue.DLQ_RECORDS, topic="in", stage="process") == 1
    assert seen.value(catalogue.ERRORS, error="ValueError") == 1


@pytest.mark.parametrize(
    ("fault", "outcome", "reason", "doubts"),
    [
        ("aborted", "aborted", "other", 0),
        ("fenced", "fenced", "fenced", 1),
        ("unknown, lost", "aborted", "in_doubt", 1),
        ("unknown, done", "committed", None, 1),
    ],
)
def test_effects_move_with_the_commit_and_attempts_at_once(
    fault: Fault, outcome: str, reason: str | None, doubts: int
) -> None:
    """However the second transaction ends (the first is the claim), each record is counted as committed once."""
    log = cluster()
    log.faults["flush" if fault == "aborted" else "commit", 2] = fault
    seen = Observed(log, sums())
    seen.run.until_idle()
    was_done_again = fault != "unknown, done"
    assert len(log.values("out")) == ROWS - 1
    assert seen.value(catalogue.RECORDS_COMMITTED, outcome="ok") == ROWS - 1
    assert seen.value(catalogue.OUTPUT_RECORDS) == ROWS - 1
    assert seen.value(catalogue.RECORDS_ATTEMPTED) == (2 * ROWS if was_done_again else ROWS)
    assert seen.value(catalogue.TRANSACTIONS, outcome=outcome) == 1
    assert seen.value(catalogue.TRANSACTIONS, outcome="committed") == 1
    assert seen.value(catalogue.TRANSACTIONS_IN_DOUBT) == doubts
    if reason is not None:
        assert seen.value(catalogue.TRANSACTION_ABORTS, reason=reason) == 1


def test_nothing_of_an_open_transaction_is_told_as_committed() -> None:
    seen = Observed(cluster(), sums(), limits=WorkerLimits(commit_interval_s=10))
    while not seen.value(catalogue.RECORDS_ATTEMPTED):
        seen.run.worker.step()
    assert seen.value(catalogue.RECORDS_COMMITTED, outcome="ok") == 0
    assert seen.value(catalogue.OUTPUT_RECORDS) is None
    assert seen.value(catalogue.TRANSACTION_OPEN) == seen.run.clock.now_s
    seen.run.until_idle()
    assert seen.value(catalogue.RECORDS_COMMITTED, outcome="ok") == ROWS - 1
    assert seen.value(catalogue.TRANSACTION_OPEN) == 0


def test_latency_runs_from_the_records_timestamp_to_the_commit() -> None:
    seen = Observed(cluster(), sums())
    seen.run.until_idle()
    assert seen.value("penstock_event_latency_seconds_count") == ROWS
    total_s = seen.value("penstock_event_latency_seconds_sum")
    assert total_s is not None
    assert 10 * ROWS <= total_s <= 20 * ROWS, "the records were stamped ten seconds before the test's clock began"


def test_state_is_told_by_store_and_as_committed() -> None:
    """Entries and bytes of each, of all tasks of the worker together; nothing of an open transaction."""
    log = cluster(2)
    seen = Observed(log, with_two_stores(), limits=WorkerLimits(commit_interval_s=10))
    seen.run.until_idle()
    seen.run.clock.now_s += 1
    seen.run.worker.step()
    states = [task.state for task in seen.run.worker.tasks.values() if task.state is not None]
    entries = [entry for state in states for entry in state.committed.items()]
    assert len(states) == 2
    for store in ("longest", "sum"):
        own = [len(key) + len(value) for key, value in entries if split_key(key)[0] == store]
        assert seen.value(catalogue.STATE_ENTRIES, store=store) == len(own) == 2
        assert seen.value(catalogue.STATE_BYTES, store=store) == sum(own) > 0
    log.inputs[A].append((ROWS, b"k-new", b"10", 999_000))
    while not seen.value(catalogue.TRANSACTION_OPEN):
        seen.run.worker.step()
    seen.metrics.on_rebalance("assigned", [])  # has it look again
    seen.metrics.on_poll(0, 0)
    assert seen.value(catalogue.STATE_ENTRIES, store="sum") == 2, "it is not committed yet"
    seen.run.until_idle()
    seen.run.clock.now_s += 1
    seen.run.worker.step()
    assert seen.value(catalogue.STATE_ENTRIES, store="sum") == 3


def with_two_stores() -> Pipeline:
    made = Pipeline("p")
    numbers = made.stream(IN).map(int, name="parse")
    numbers.aggregate(int, lambda total, n: total + n, name="sum").to_stream().map(str, name="show").to(OUT)
    numbers.aggregate(int, max, name="longest").to_stream().map(str, name="show-longest").to(OUT)
    return made


def test_what_is_given_away_is_told_no_more_from_that_moment_on() -> None:
    """A gauge for each partition that is set and left there would show a frozen lag beside its new owner's."""
    seen = Observed(cluster(2), sums())
    seen.run.until_idle()
    seen.run.worker.step()
    lag = str(catalogue.PARTITION_TIME_LAG)
    assert [dict(s.labels)["partition"] for s in seen.scrape() if s.name == lag] == ["0", "1"]
    seen.metrics.on_rebalance("revoked", [("in", 1)])
    assert [dict(s.labels)["partition"] for s in seen.scrape() if s.name == lag] == ["0"]
    assert seen.value(catalogue.ASSIGNED_PARTITIONS, topic="in") == 1
    assert seen.value(catalogue.EXPECTED_PARTITIONS, topic="in") == 2
    seen.run.member.events.append(("lost", [("in", 0), ("in", 1)]))
    seen.run.worker.step()
    assert not [s for s in seen.scrape() if s.name == lag]


def test_a_loop_that_stands_still_until_its_partitions_are_gone_tells_nothing_of_them() -> None:
    seen = Observed(cluster(), sums())
    seen.run.until_idle()
    seen.run.worker.step()
    assert seen.value(catalogue.PARTITION_TIME_LAG) == 0
    seen.run.clock.now_s += 121
    assert seen.value(catalogue.PARTITION_TIME_LAG) is None
    assert seen.value(catalogue.ASSIGNED_PARTITIONS) is None


def test_a_record_that_waits_ages() -> None:
    """Its task has stopped in front of it, so that its age is known to be that of the one before, or less."""
    seen = Observed(cluster(bad=5), sums())
    for _ in range(20):
        if seen.value(catalogue.TASKS, status="stopped"):
            break
        with suppress(OperatorMustDecide):  # every task has stopped
            seen.run.worker.step()
        seen.metrics.on_poll(0, 0)
    assert seen.value(catalogue.TASKS, status="stopped") == 1
    before = seen.value(catalogue.PARTITION_TIME_LAG)
    seen.run.clock.now_s += 7
    after = seen.value(catalogue.PARTITION_TIME_LAG)
    assert before is not None
    assert after == pytest.approx(before + 7)
    assert seen.value(catalogue.ERRORS, stage="process", error="ValueError") == 1


def test_a_class_of_error_that_is_not_known_is_no_label() -> None:
    class Jena18Error(Exception):
        pass

    metrics = WorkerMetrics(PLACE, ManualClock())
    for error in (Jena18Error("payload"), KeyError("payload"), TransactionAborted("payload")):
        metrics.on_dead_letter("in", 0, 1, "process", error)
    found = Counter(dict(s.labels)["error"] for s in scraped(metrics.families()) if s.name == str(catalogue.ERRORS))
    assert found == Counter(["other", "KeyError", "TransactionAborted"])


def written(seen: Observed) -> CheckpointWritten:
    """A checkpoint of all that the one task has committed."""
    (task,) = seen.run.worker.tasks.values()
    assert task._record is not None
    header = CheckpointHeader(
        commit=task._record, changelog_next_offset=10, topic_ids={}, written_ms=seen.run.clock.now_ms()
    )
    return CheckpointWritten(header, 1, 4_096, 0.2)


def test_state_that_is_not_on_disk_ages_and_state_of_an_idle_task_does_not() -> None:
    log = cluster()
    seen = Observed(log, sums(), limits=WorkerLimits(max_batch_records=2))
    seen.run.until_idle()
    seen.run.worker.step()
    came_s = seen.value(catalogue.CHECKPOINT_SUCCESS)
    assert came_s is not None
    assert came_s < seen.run.clock.now_s
    seen.metrics.on_checkpoint("in[0]", CheckpointFailed(OSError("full"), is_lost=False))
    assert seen.value(catalogue.CHECKPOINT_SUCCESS) == came_s
    seen.metrics.on_checkpoint("in[0]", written(seen))
    saved_s = seen.run.clock.now_s
    seen.run.clock.now_s += 100
    assert seen.value(catalogue.CHECKPOINT_SUCCESS) == saved_s + 100, "nothing was committed since"
    log.inputs[A].append((ROWS, b"k0", b"10", 999_000))
    seen.run.until_idle()
    seen.run.worker.step()
    assert seen.value(catalogue.CHECKPOINT_SUCCESS) == saved_s
    assert seen.value(catalogue.CHECKPOINT_SIZE, task_group="in") == 4_096


class Letters:
    """Dead letters that are looked at."""

    def look(self) -> Backlog:
        return Backlog(2, 990_000)


def of_schema(error: UndecodableRecord) -> UndecodableRecord:
    error.subject = "in-value"
    return error


def everything(tmp_path: Path) -> dict[Series, float]:
    """A scrape of a worker that has been through everything there is to count."""
    seen = Observed(cluster(bad=5), sums("dead_letter"), disk=Disk(tmp_path))
    seen.run.until_idle()
    for task in seen.run.worker.tasks.values():
        task.save(10)
    seen.run.clock.now_s += 1
    seen.run.worker.step()
    metrics = seen.metrics
    watch = DeadLetterWatch(lambda: ["dlq.p.in"], lambda _: Letters(), lambda: True)
    watch.step()
    metrics.beside = lambda: watch.families("p")
    metrics.on_rotation("a slow commit")
    metrics.on_retry("offsets", KafkaUnavailable("planted"))
    metrics.on_dead_letter("in", 0, 1, "decode", of_schema(UndecodableRecord("cut", reason="truncated")))
    for kind in ("producer", "consumer"):
        delivery = Delivery(0.02, 0.001, 0.002) if kind == "producer" else None
        metrics.clients.take(Statistics("a", kind, 1, 10, 100, 0.0, 0.002, 0, 0, 1, delivery))
    metrics.on_rebalance("revoked", [])
    metrics.on_rebalance("lost", [("elsewhere", 0)])
    metrics.on_commit(1, 0)
    metrics.on_abort(TransactionAborted("planted"))
    metrics.on_restore(RestoreReport("in[0]", 1, 1, 0, None, 0.5))
    metrics.on_checkpoint("in[0]", CheckpointFailed(OSError("full"), is_lost=False))
    on_its_way = metrics.view.tasks[0].id
    metrics.view = replace(metrics.view, restoring=((on_its_way, (3, 10)),), left_s={on_its_way: 7.0})
    return seen.scrape()


def test_every_metric_of_the_catalogue_is_told_and_no_other(tmp_path: Path) -> None:
    """A name that nothing tells, or that nobody has written down, fails here."""
    found = everything(tmp_path)
    names = {series for metric in catalogue.WORKER for series in metric.series}
    assert {series.name for series in found} == names
    for metric in catalogue.WORKER:
        for series in found:
            if series.name in metric.series:
                assert sorted(name for name, _ in series.labels if name != "le") == sorted(metric.labels), series
                told = dict(series.labels)
                for label, values in metric.values:
                    assert told[label] in values, series


def test_names_and_labels_keep_to_the_rules() -> None:
    for metric in catalogue.WORKER:
        assert re.fullmatch(r"(penstock|process|python)_[a-z_]+", metric.name), metric
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric
        assert LABELS.issuperset(metric.labels), metric
        assert list(metric.buckets) == sorted(set(metric.buckets)), metric
        assert bool(metric.buckets) == (metric.kind == "histogram"), metric
        assert not {"partition"} & set(metric.labels) or metric.kind == "gauge", (
            "a partition moves; its counter would not"
        )
        assert metric.help.endswith("."), metric
        assert not metric.name.startswith("penstock_") or "pipeline" in metric.labels, "what pages needs a pipeline"


def test_what_objectives_are_measured_by_is_an_edge_of_the_histogram() -> None:
    assert {1, 10, 60} <= set(catalogue.EVENT_LATENCY.buckets)


def test_a_worker_stays_within_its_budget_of_series(tmp_path: Path) -> None:
    """450 series, and four for each partition: what a server pays for a worker, for ever."""
    few = len(everything(tmp_path))
    assert few <= 450
    many = Observed(cluster(100), sums())
    many.run.until_idle()
    many.run.worker.step()
    assert len(many.scrape()) <= 450 + 4 * 100
    one_each = sum(dict(series.labels).get("partition") is not None for series in many.scrape())
    assert one_each == 100


def test_a_batch_report_without_timestamps_is_counted_all_the_same() -> None:
    metrics = WorkerMetrics(PLACE, ManualClock())
    metrics.on_batch(BatchReport("in", 0, 3, 0, 0, {}, 0.1))
    metrics.on_commit(3, 0)
    assert value(scraped(metrics.families()), str(catalogue.RECORDS_COMMITTED), outcome="ok") == 3


def test_what_goes_wrong_is_told_as_zero_before_it_does_for_the_first_time() -> None:
    """A rate does not see the first step of a series that is born with it."""
    metrics = WorkerMetrics(PLACE, ManualClock())
    metrics.on_join("group", {"in": 1}, 300.0)
    found = scraped(metrics.families())
    for stage in catalogue.RECORD_STAGES:
        assert value(found, str(catalogue.DLQ_RECORDS), topic="in", stage=stage) == 0
    for reason in catalogue.ABORTS:
        assert value(found, str(catalogue.TRANSACTION_ABORTS), reason=reason) == 0
    for outcome in catalogue.OUTCOMES:
        assert value(found, str(catalogue.RECORDS_COMMITTED), topic="in", outcome=outcome) == 0
