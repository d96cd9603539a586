"""The numbers that alerts are tried with are of metrics that there are, and none is left out."""

from __future__ import annotations

from penstock.monitoring.shipped.rules import ALERTS
from tests.servers.alert_cases import CASES
from tests.unit.monitoring.promql import selectors
from tests.unit.monitoring.test_shipped import METRICS, OF_THE_SERVER


def test_every_alert_is_tried() -> None:
    assert [case.alert for case in CASES] == [alert.name for alert in ALERTS if alert.name != "Watchdog"]


def test_they_are_tried_with_series_that_are_told() -> None:
    for case in CASES:
        for series in (*case.bad, *case.nearly):
            ((name, labels),) = selectors(series)
            assert name in METRICS, series
            assert set(METRICS[name].labels) <= set(labels) <= {*METRICS[name].labels, *OF_THE_SERVER}, series
