"""What is tried again shows, and what waits for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import Retriable
from penstock.kafka.error_map import by_name, from_commit
from penstock.monitoring import catalogue
from penstock.topology.policy import Policy, Retry
from tests.unit.monitoring.observed_worker import IN, OUT, ROWS, Observed, cluster, sums
from tests.unit.runtime.flaky import Flaky

SECOND = timedelta(seconds=1)


def enriched(flaky: Flaky, on_error: Policy) -> Pipeline:
    made = Pipeline("p", on_error="dead_letter")
    made.stream(IN).map(flaky, name="enrich", on_error=on_error).to(OUT)
    return made


def retries(seen: Observed) -> dict[tuple[str, str], float]:
    """{(what, why): how often}, of what was."""
    found = {series: n for series, n in seen.scrape().items() if series.name == str(catalogue.RETRIES)}
    told = {(labels["op"], labels["reason"]): n for series, n in found.items() for labels in [dict(series.labels)]}
    assert {("offsets", "_TIMED_OUT"), ("commit", "_TIMED_OUT")} <= told.keys(), "they have a rate from the first on"
    return {what: n for what, n in told.items() if n}


def outcomes(seen: Observed) -> dict[str, float | None]:
    return {outcome: seen.value(catalogue.RECORDS_COMMITTED, outcome=outcome) for outcome in catalogue.OUTCOMES}


def test_a_task_that_waits_in_front_of_a_record_says_so_and_how_often_it_tries() -> None:
    """Each time the record fails in its batch and alone; behind the third time it does not."""
    seen = Observed(cluster(), enriched(Flaky({4: 6}), Retry(attempts=9, first=SECOND)))
    statuses: set[str] = set()
    for _ in range(200):
        seen.run.worker.step()
        seen.run.clock.now_s += 0.25
        statuses |= {s for s in catalogue.STATUSES if seen.value(catalogue.TASKS, status=s)}
        if seen.value(catalogue.RECORDS_COMMITTED, outcome="ok") == ROWS:
            break
    assert outcomes(seen) == {"ok": ROWS, "filtered": 0, "dlq": 0, "parked": 0}
    assert retries(seen) == {("record", "ValueError"): 3}
    assert seen.value(catalogue.ERRORS, stage="process", error="ValueError") == 3
    assert {"waiting", "running"} <= statuses
    assert seen.value(catalogue.TASKS, status="waiting") == 0


def test_a_parked_record_counts_as_parked_with_its_commit_and_as_what_it_becomes_when_it_leaves() -> None:
    seen = Observed(cluster(), enriched(Flaky({4: 3}), Retry(attempts=9, first=SECOND, keep="key")))
    for _ in range(20):
        seen.run.worker.step()
        seen.run.clock.now_s += 0.1
        if seen.value(catalogue.RECORDS_COMMITTED, outcome="parked"):
            break
    assert outcomes(seen) == {"ok": 4, "filtered": 0, "dlq": 0, "parked": ROWS - 4}, "all have one key"
    seen.run.clock.now_s += 0.5
    seen.metrics.on_rebalance("assigned", [])  # look anew
    seen.run.worker.step()
    assert seen.value(catalogue.PARKED_KEYS) == 1
    assert seen.value(catalogue.PARKED_RECORDS) == ROWS - 4
    assert seen.value(catalogue.PARKED_BYTES) == ROWS - 4 + (ROWS - 10), "values of one digit, and of two"
    assert 0 < (seen.value(catalogue.PARKED_OLDEST) or 0) <= seen.run.clock.now_s - 0.5
    for _ in range(200):
        seen.run.worker.step()
        seen.run.clock.now_s += 1
        if seen.value(catalogue.PARKED_KEYS) == 0:
            break
    assert seen.value(catalogue.PARKED_RECORDS) == seen.value(catalogue.PARKED_BYTES) == 0
    assert seen.value(catalogue.PARKED_OLDEST) == 0
    assert outcomes(seen) == {"ok": ROWS, "filtered": 0, "dlq": 0, "parked": ROWS - 4}
    assert seen.value(catalogue.RECORDS_ATTEMPTED) == ROWS + ROWS - 4
    assert retries(seen) == {("parked", "ValueError"): 2}, "the batch is no try of its own; the third time it passes"
    assert seen.value(catalogue.ERRORS, stage="process", error="ValueError") == 2


def test_a_parked_record_that_is_given_up_counts_as_an_error_each_time_and_as_tried_again_but_for_the_last() -> None:
    seen = Observed(cluster(), enriched(Flaky({9: 99}, LookupError), Retry(attempts=3, first=SECOND, keep="key")))
    for _ in range(200):
        seen.run.worker.step()
        seen.run.clock.now_s += 1
        if seen.value(catalogue.RECORDS_COMMITTED, outcome="dlq"):
            break
    assert outcomes(seen) == {"ok": ROWS - 1, "filtered": 0, "dlq": 1, "parked": 1}
    assert retries(seen) == {("parked", "LookupError"): 2}
    assert seen.value(catalogue.ERRORS, stage="process", error="LookupError") == 3


def test_why_a_call_is_made_again_is_told_by_kafkas_own_name() -> None:
    seen = Observed(cluster(), sums())
    try:
        raise from_commit(by_name("_TIMED_OUT", is_retriable=True), "p.0") from by_name("_TIMED_OUT")
    except Retriable as error:
        seen.metrics.on_retry("commit", error)
    assert retries(seen) == {("commit", "_TIMED_OUT"): 1}


@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_a_call_that_is_not_answered_is_made_again_and_counted_at_once(call: str) -> None:
    log = cluster()
    log.faults[call, 2] = log.faults[call, 3] = "retriable"
    seen = Observed(log, sums())
    seen.run.until_idle()
    assert retries(seen) == {(call, "KafkaUnavailable"): 2}
    assert seen.value(catalogue.TRANSACTIONS, outcome="committed") == 1
    assert outcomes(seen) == {"ok": ROWS - 1, "filtered": 1, "dlq": 0, "parked": 0}
