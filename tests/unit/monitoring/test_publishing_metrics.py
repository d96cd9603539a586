"""What the metrics of a producer say while its transactions succeed, fail and stay in doubt."""

from __future__ import annotations

import re

import pytest

from penstock.monitoring import publishing_catalogue as catalogue
from penstock.monitoring.metric import LABELS
from penstock.monitoring.process_catalogue import PROCESS
from penstock.monitoring.publishing_metrics import Publishing, PublishingMetrics
from tests.unit.monitoring.parsing import Series, scraped, value
from tests.unit.publishing.in_memory import Fault
from tests.unit.publishing.numbers import Numbers

PLACE = Publishing("numbers", "numbers", "1.0", "2.16", 20)


class Observed:
    """A producer and its metrics."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.metrics = PublishingMetrics(PLACE, numbers.clock)

    def run(self, limit: int | None = None) -> None:
        self.numbers.process(self.metrics).run(limit=limit)

    def scrape(self) -> dict[Series, float]:
        return scraped(self.metrics.families())

    def value(self, name: object, **labels: str) -> float | None:
        return value(self.scrape(), str(name), **labels)


def test_rows_are_counted_by_what_became_of_them() -> None:
    seen = Observed(Numbers(rows=20, bad={3, 11}))
    seen.run()
    assert len(seen.numbers.published) == 18
    assert (seen.value(catalogue.ROWS, outcome="ok"), seen.value(catalogue.ROWS, outcome="dlq")) == (18, 2)
    assert seen.value(catalogue.REJECTS, stage="convert", error="BadRow") == 2
    assert seen.value(catalogue.CURSOR_ROWS) == seen.value(catalogue.SOURCE_ROWS) == 20
    assert seen.value(catalogue.LAST_COMMIT) == seen.numbers.clock.now_s


@pytest.mark.parametrize(
    ("call", "fault", "aborted"),
    [
        ("flush", Fault.ABORTED, 1),
        ("commit", Fault.UNKNOWN_LOST, 1),
        ("commit", Fault.UNKNOWN_DONE, 0),
        ("commit", Fault.UNKNOWN_PENDING, 0),
        ("commit", Fault.TIMED_OUT, 1),
    ],
)
def test_however_the_first_transaction_with_rows_ends_each_row_counts_once(
    call: str, fault: Fault, aborted: int
) -> None:
    """The claim is the first transaction of all."""
    numbers = Numbers(rows=20, bad={3, 11})
    numbers.log.planted[call, 2] = fault
    seen = Observed(numbers)
    seen.run()
    assert sorted(numbers.published + numbers.dead) == list(range(20)), "each once"
    assert (seen.value(catalogue.ROWS, outcome="ok"), seen.value(catalogue.ROWS, outcome="dlq")) == (18, 2)
    assert seen.value(catalogue.REJECTS, stage="convert", error="BadRow") == 2
    assert seen.value(catalogue.TRANSACTIONS, outcome="aborted") == aborted
    with_rows = sum(any(w.topic != "cursors" for w in written) for written in numbers.log.transactions)
    assert seen.value(catalogue.TRANSACTIONS, outcome="committed") == with_rows
    assert seen.value(catalogue.CURSOR_ROWS) == 20


def test_another_life_goes_on_from_the_rows_of_the_one_before() -> None:
    numbers = Numbers(rows=20)
    Observed(numbers).run(limit=8)
    seen = Observed(numbers)
    seen.run()
    assert seen.value(catalogue.ROWS, outcome="ok") == 12
    assert seen.value(catalogue.CURSOR_ROWS) == 20


def test_a_commit_that_is_asked_for_again_and_a_handle_that_is_replaced_show() -> None:
    numbers = Numbers(rows=20)
    numbers.log.planted["commit", 2] = Fault.RETRIABLE_DONE
    numbers.log.planted["commit", 4] = Fault.DOUBT
    seen = Observed(numbers)
    seen.run()
    assert numbers.published == list(range(20))
    assert seen.value(catalogue.RETRIES, reason="KafkaUnavailable") == 1
    assert seen.value(catalogue.ROTATIONS) is not None
    assert (seen.value(catalogue.ROTATIONS) or 0) >= 1


def test_conversion_flush_and_commit_are_timed_and_a_claim_is_not() -> None:
    numbers = Numbers(rows=8)

    def slow(row: int) -> object:
        numbers.clock.now_s += 0.5
        return numbers._record(row)

    numbers.convert = slow
    seen = Observed(numbers)
    seen.run()
    assert seen.value(f"{catalogue.STAGE_DURATION}_sum", stage="convert") == 4.0
    committed = seen.value(catalogue.TRANSACTIONS, outcome="committed")
    assert committed == seen.value(f"{catalogue.STAGE_DURATION}_count", stage="commit")
    assert committed == seen.value(f"{catalogue.STAGE_DURATION}_count", stage="flush")


def test_every_metric_of_the_catalogue_is_told_and_no_other() -> None:
    seen = Observed(Numbers(rows=20, bad={3}))
    seen.run()
    found = seen.scrape()
    assert {series.name for series in found} == {each for metric in catalogue.PUBLISHING for each in metric.series}
    for metric in catalogue.PUBLISHING:
        assert LABELS.issuperset(metric.labels), metric
        assert re.fullmatch(r"(penstock_publishing|process|python)_[a-z_]+", metric.name), metric
        assert metric in PROCESS or "producer" in metric.labels, metric
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric
        for series in found:
            if series.name in metric.series:
                assert sorted(name for name, _ in series.labels if name != "le") == sorted(metric.labels), series
                for label, values in metric.values:
                    assert dict(series.labels)[label] in values, series
    assert len(found) <= 100, "what a server pays for a producer"
