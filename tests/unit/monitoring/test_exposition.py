"""The text that Prometheus is given."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.monitoring.exposition import Family, one, render
from penstock.monitoring.instruments import Counter, Histogram
from penstock.monitoring.metric import Metric
from tests.unit.monitoring.parsing import parse

SEEN = Metric("seen_total", "counter", ("topic",), "What was seen.")
TOOK = Metric("took_seconds", "histogram", ("stage",), "What it took.", (0.1, 1.0))


def test_a_counter_and_a_histogram_are_written_as_prometheus_reads_them() -> None:
    counter, histogram = Counter(SEEN), Histogram(TOOK)
    counter.add(2, "flights")
    for seconds in (0.05, 0.1, 5):
        histogram.observe(seconds, "poll")
    assert render([counter.family(), histogram.family()]).decode() == (
        "# HELP seen_total What was seen.\n"
        "# TYPE seen_total counter\n"
        'seen_total{topic="flights"} 2.0\n'
        "# HELP took_seconds What it took.\n"
        "# TYPE took_seconds histogram\n"
        'took_seconds_bucket{le="0.1",stage="poll"} 2.0\n'
        'took_seconds_bucket{le="1.0",stage="poll"} 2.0\n'
        'took_seconds_bucket{le="+Inf",stage="poll"} 3.0\n'
        'took_seconds_sum{stage="poll"} 5.15\n'
        'took_seconds_count{stage="poll"} 3.0\n'
    )


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", 'a\\"\n'])
def test_a_label_may_hold_anything(text: str) -> None:
    (series,) = parse(render([one(SEEN, 1, text)]).decode())
    (label,) = series.labels
    assert label[1].encode().decode("unicode_escape") == text


def test_what_is_not_known_is_absent() -> None:
    assert render([Family(SEEN)]) == b""


def test_nan_is_refused_since_it_poisons_every_sum() -> None:
    with pytest.raises(ValueError, match="NaN; please report"):
        render([one(SEEN, math.nan, "flights")])


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        render([one(SEEN, 1)])


@given(st.lists(st.sampled_from([-70, 0, 1, 50, 100, 101, 500, 1_000, 1_500, 99_000]), max_size=60))
def test_the_ages_of_many_at_once_are_the_same_as_one_by_one(ages_ms: list[int]) -> None:
    """Times to come are 0 old; one that is as old as an edge stands below it."""
    now_ms = 1_700_000_000_000
    single, together = Histogram(TOOK), Histogram(TOOK)
    for each in ages_ms:
        single.observe(max(0, each) / 1000, "x")
    together.observe_ages([now_ms - each for each in ages_ms], now_ms, "x")
    (_, counts, total), (_, counts_together, total_together) = [
        (h.family().histograms or [((), [0, 0, 0], 0.0)])[0] for h in (single, together)
    ]
    assert counts_together == counts
    assert total_together == pytest.approx(total)
