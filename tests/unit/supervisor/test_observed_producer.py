"""A producer's metrics over HTTP, for as long as it publishes."""

from __future__ import annotations

import logging
import re
import urllib.request
from urllib.error import URLError

import pytest

from penstock.monitoring import publishing_catalogue as catalogue
from penstock.monitoring.publishing_metrics import PublishingMetrics
from penstock.monitoring.scrape import read
from penstock.supervisor.observed_producer import observed


def test_metrics_are_served_while_the_producer_runs_and_not_behind_that(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), observed("flights", "flights", 100, "127.0.0.1", 0) as hooks:
        found = re.search(r"http://[\d.:]+/metrics", caplog.text)
        assert found is not None
        hooks.on_start(40)
        hooks.on_step("convert")
        hooks.on_commit(9, 1)
        with urllib.request.urlopen(found[0], timeout=10) as answer:  # noqa: S310 - our own server
            told = read(answer.read().decode(), 0.0)
    assert told.numbers(catalogue.ROWS, producer="flights", outcome="ok") == [9]
    assert told.numbers(catalogue.CURSOR_ROWS) == [50]
    assert told.numbers(catalogue.SOURCE_ROWS) == [100]
    with pytest.raises(URLError):
        urllib.request.urlopen(found[0], timeout=10)  # noqa: S310 - likewise


def test_without_a_port_nothing_is_counted() -> None:
    with observed("flights", "flights", None, "127.0.0.1", None) as hooks:
        assert not isinstance(hooks, PublishingMetrics)
