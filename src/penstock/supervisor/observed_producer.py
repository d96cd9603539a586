"""A producer that can be looked at while it publishes: its metrics over HTTP."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version

from penstock.clock import SystemClock
from penstock.kafka.client import librdkafka_version
from penstock.monitoring.exposition import CONTENT_TYPE, render
from penstock.monitoring.http import LOGGER, Page, PageServer
from penstock.monitoring.publishing_metrics import Publishing, PublishingMetrics
from penstock.protocols import TransactionHooks
from penstock.supervisor.observed import reachable


@contextmanager
def observed(
    producer: str, topic: str, source_rows: int | None, host: str, port: int | None
) -> Generator[TransactionHooks]:
    """Serve a producer's metrics for the time of the block; what is yielded has to be told what it does.

    Args:
        producer: its name.
        topic: where it publishes.
        source_rows: of its source, in all; None = it does not say.
        host: the address to listen on.
        port: 0 = one that is free; None = nobody is to look, and nothing is counted.

    Raises:
        ConfigurationError: the port is taken.
    """
    if port is None:
        yield TransactionHooks()
        return
    place = Publishing(producer, topic, version("penstock"), librdkafka_version(), source_rows)
    metrics = PublishingMetrics(place, SystemClock())
    pages = {"/metrics": lambda: Page(render(metrics.families()), CONTENT_TYPE), "/livez": lambda: Page(b"ok\n")}
    with PageServer(host, port, pages) as server:
        LOGGER.info("metrics at http://%s:%s/metrics", reachable(host), server.port)
        yield metrics
