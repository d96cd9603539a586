"""The numbers that alerts are tried with are of metrics that there are, and none is left out."""

from __future__ import annotations

from penstock.monitoring.shipped.rules import ALERTS
from tests.servers.alert_cases import CASES
from tests.servers.alert_edges import EDGES
from tests.unit.monitoring.promql import selectors
from tests.unit.monitoring.test_shipped import METRICS, OF_PROMETHEUS, OF_THE_SERVER


def test_every_alert_is_tried() -> None:
    assert [case.alert for case in CASES] == [alert.name for alert in ALERTS if alert.name != "Watchdog"]


def test_an_edge_is_one_of_an_alert_that_there_is() -> None:
    assert {edge.alert for edge in EDGES} <= {alert.name for alert in ALERTS}


def test_they_are_tried_with_series_that_are_told() -> None:
    numbers = [*(each for case in CASES for each in (case.bad, case.nearly)), *(edge.numbers for edge in EDGES)]
    for series in {series for each in numbers for series in each}:
        ((name, labels),) = selectors(series)
        assert name in {*METRICS, *OF_PROMETHEUS}, series
        of_metric = METRICS[name].labels if name in METRICS else OF_PROMETHEUS[name]
        assert set(of_metric) <= set(labels) <= {*of_metric, *OF_THE_SERVER}, series
