"""From a number to the trace of a record behind it: only of records that failed or were slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.monitoring import catalogue
from penstock.monitoring.endpoints import openmetrics_pages
from penstock.monitoring.exposition import Exemplar, render, render_openmetrics
from penstock.monitoring.instruments import Counter, Histogram
from penstock.monitoring.metric import Metric
from penstock.monitoring.trace import exemplar
from penstock.monitoring.worker_metrics import WorkerMetrics
from penstock.record import Headers
from penstock.runtime.hooks import BatchReport
from penstock.topology.policy import Retry
from tests.unit.monitoring.observed_worker import IN, OUT, PLACE, ROWS, Observed, cluster, sums
from tests.unit.monitoring.parsing import Series, parse
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.flaky import Flaky
from tests.unit.runtime.in_memory import Cluster

SEEN = Metric("seen_total", "counter", ("topic",), "What was seen.")
TOOK = Metric("took_seconds", "histogram", ("stage",), "What it took.", (0.1, 1.0))


def trace(number: int) -> str:
    return f"{number + 1:032x}"


def traced(number: int, flags: str = "01") -> Headers:
    return (("other", b"x"), ("traceparent", f"00-{trace(number)}-00f067aa0ba902b7-{flags}".encode()))


def all_traced(log: Cluster) -> Cluster:
    """Every record has a trace, named after its offset."""
    log.headers = {(("in", 0), n): traced(n) for n in range(ROWS)}
    return log


def exemplars(metrics: WorkerMetrics) -> dict[Series, str]:
    """{series: trace} of all that a scrape tells."""
    lines = render_openmetrics(metrics.families()).decode().splitlines()
    found = [line.split(" # ") for line in lines if " # {" in line]
    return {next(iter(parse(sample))): told.split('"')[1] for sample, told in found}


def told(metrics: WorkerMetrics, metric: Metric) -> dict[str, str]:
    """{bucket, or error, or stage: trace} of one metric."""
    return {
        labels.get("le") or labels.get("error") or labels["stage"]: trace_id
        for series, trace_id in exemplars(metrics).items()
        if series.name in metric.series
        for labels in [dict(series.labels)]
    }


@pytest.mark.parametrize(
    "text",
    [
        f"00-{trace(7)}-00f067aa0ba902b7-00",  # nobody keeps it
        f"00-{0:032x}-00f067aa0ba902b7-01",
        f"00-{trace(7)}-{0:016x}-01",
        f"ff-{trace(7)}-00f067aa0ba902b7-01",
        f"00-{trace(171).upper()}-00f067aa0ba902b7-01",
        f"00-{trace(7)}-00f067aa0ba902b7",
        f"00-{trace(7)}-00f067aa0ba902b7-01x",
        'a trace"\n',
        "",
    ],
)
def test_what_is_no_trace_that_somebody_keeps_leads_nowhere(text: str) -> None:
    assert exemplar((("traceparent", text.encode()),), 1.0, 0) is None


def test_a_trace_is_taken_from_its_header_and_from_no_other() -> None:
    assert exemplar(traced(7), 2.5, 90_500) == Exemplar(trace(7), 2.5, 90.5)
    assert exemplar(traced(7, "03"), 2.5, 0) == Exemplar(trace(7), 2.5, 0)
    later = (("traceparent", f"01-{trace(7)}-00f067aa0ba902b7-01-what-comes".encode()),)
    assert exemplar(later, 1.0, 0) == Exemplar(trace(7), 1.0, 0)
    assert exemplar((), 1.0, 0) is exemplar((("traceparent", None),), 1.0, 0) is None
    assert exemplar((("tracestate", traced(7)[1][1]),), 1.0, 0) is None


def test_openmetrics_has_exemplars_behind_the_samples_they_are_of() -> None:
    counter, histogram = Counter(SEEN), Histogram(TOOK)
    counter.add(2, "flights")
    counter.exemplify(Exemplar("aa", 1.0, 12.5), "flights")
    for seconds in (0.05, 1, 5):
        histogram.observe(seconds, "poll")
    histogram.exemplify(Exemplar("bb", 1.0, 13.0), "poll")
    histogram.exemplify(Exemplar("cc", 5.0, 14.0), "poll")
    histogram.exemplify(None, "poll")
    families = [counter.family(), histogram.family()]
    assert render_openmetrics(families).decode() == (
        "# HELP seen What was seen.\n"
        "# TYPE seen counter\n"
        'seen_total{topic="flights"} 2.0 # {trace_id="aa"} 1.0 12.5\n'
        "# HELP took_seconds What it took.\n"
        "# TYPE took_seconds histogram\n"
        'took_seconds_bucket{le="0.1",stage="poll"} 1.0\n'
        'took_seconds_bucket{le="1.0",stage="poll"} 2.0 # {trace_id="bb"} 1.0 13.0\n'
        'took_seconds_bucket{le="+Inf",stage="poll"} 3.0 # {trace_id="cc"} 5.0 14.0\n'
        'took_seconds_sum{stage="poll"} 6.05\n'
        'took_seconds_count{stage="poll"} 3.0\n'
        "# EOF\n"
    )
    assert "trace_id" not in render(families).decode()


def test_both_forms_tell_the_same_series() -> None:
    """Or a server that is updated, or a flag, would break every dashboard."""
    seen = Observed(all_traced(cluster(bad=5)), sums("dead_letter"))
    seen.run.until_idle()
    page = openmetrics_pages(seen.metrics)["/metrics"]()
    assert page.content_type.startswith("application/openmetrics-text")
    lines = [line.partition(" # ")[0] for line in page.body.decode().splitlines()]
    assert parse("\n".join(lines)).keys() == seen.scrape().keys()
    families = text_string_to_metric_families(page.body.decode())  # type: ignore[no-untyped-call] # it has no types
    read = {sample.name for family in families for sample in family.samples}
    assert read == {series.name for series in seen.scrape()}, "as a strict reader of OpenMetrics sees it"


def test_a_dead_letter_leads_to_its_record_and_no_healthy_record_is_named() -> None:
    seen = Observed(all_traced(cluster(bad=5)), sums("dead_letter"))
    seen.run.until_idle()
    assert told(seen.metrics, catalogue.ERRORS) == {"ValueError": trace(5)}
    assert told(seen.metrics, catalogue.DLQ_RECORDS) == {"process": trace(5)}
    assert set(exemplars(seen.metrics).values()) == {trace(5)}


def test_a_dead_letter_that_is_discarded_with_its_transaction_is_an_error_and_no_dead_letter() -> None:
    metrics = WorkerMetrics(PLACE, ManualClock())
    metrics.on_dead_letter("in", 0, 1, "process", KeyError(), traced(1))
    metrics.on_abort(OperatorMustDecide("planted"))
    metrics.on_dead_letter("in", 0, 2, "process", ValueError(), ())
    metrics.on_commit(1, 1)
    assert told(metrics, catalogue.ERRORS) == {"KeyError": trace(1)}
    assert told(metrics, catalogue.DLQ_RECORDS) == {}


def test_a_record_that_a_task_stops_in_front_of_leads_to_its_trace() -> None:
    seen = Observed(all_traced(cluster(bad=5)), sums("fail"))
    with suppress(OperatorMustDecide):
        seen.run.until_idle()
    assert told(seen.metrics, catalogue.ERRORS) == {"ValueError": trace(5)}


def test_a_record_that_a_task_waits_in_front_of_leads_to_its_trace() -> None:
    made = Pipeline("p")
    made.stream(IN).map(Flaky({4: 2}), name="enrich", on_error=Retry(attempts=9)).to(OUT)
    seen = Observed(all_traced(cluster()), made)
    seen.run.until_idle()
    assert seen.value(catalogue.RETRIES, op="record") == 1
    assert told(seen.metrics, catalogue.ERRORS) == {"ValueError": trace(4)}


class Unread(tuple[tuple[str, bytes | None], ...]):
    """Headers that nobody may look at."""

    __slots__ = ()

    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        raise AssertionError("the headers of a healthy record were read")


def batch(*stamps_ms: int, headers: list[Headers] | None = None) -> BatchReport:
    count = len(stamps_ms)
    source = SourceBatch("in", 0, list(range(count)), [b"k"] * count, [b"v"] * count, list(stamps_ms), headers)
    return BatchReport("in", 0, count, 0, 0, {}, 0.1, source=source)


def at(now_ms: int) -> tuple[WorkerMetrics, ManualClock]:
    clock = ManualClock()
    clock.now_s = now_ms / 1000
    return WorkerMetrics(PLACE, clock), clock


def test_a_record_that_was_slower_than_the_objective_leads_from_its_bucket_to_its_trace() -> None:
    """The objective is a minute."""
    metrics, _ = at(1_000_000)
    metrics.on_batch(batch(920_000, 999_000, headers=[traced(1), Unread()]))
    metrics.on_batch(batch(999_000, headers=[Unread()]))
    metrics.on_batch(batch(900_000, headers=[traced(2)]))
    metrics.on_commit(4, 0)
    (series,) = exemplars(metrics)
    assert dict(series.labels) == {"pipeline": "p", "clock": "append", "le": "120.0"}
    assert told(metrics, catalogue.EVENT_LATENCY) == {"120.0": trace(2)}, "the oldest of the transaction"


def test_it_counts_when_the_record_was_visible_and_not_when_it_was_processed() -> None:
    metrics, clock = at(1_000_000)
    metrics.on_batch(batch(950_000, headers=[traced(1)]))
    clock.now_s += 20
    metrics.on_commit(1, 0)
    assert told(metrics, catalogue.EVENT_LATENCY) == {"120.0": trace(1)}


def test_headers_of_records_that_are_as_fast_as_they_should_be_are_not_read() -> None:
    metrics, _ = at(1_000_000)
    metrics.on_batch(batch(940_000, 999_000, headers=[Unread(), Unread()]))
    metrics.on_commit(2, 0)
    assert exemplars(metrics) == {}


def test_a_slow_record_whose_transaction_is_discarded_is_not_named_with_the_next() -> None:
    metrics, _ = at(1_000_000)
    metrics.on_batch(batch(900_000, headers=[traced(1)]))
    metrics.on_abort(OperatorMustDecide("planted"))
    metrics.on_batch(batch(999_000, headers=[Unread()]))
    metrics.on_commit(1, 0)
    assert exemplars(metrics) == {}
