"""Cycles over a cluster, one after the other; the newest observation is what a scrape is told.

A cycle that fails leaves the observation before it in place; it grows old, and then it tells nothing any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from penstock.clock import Clock
from penstock.errors import PenstockError
from penstock.monitoring.exposition import CONTENT_TYPE, render
from penstock.monitoring.http import Page, Pages
from penstock.monitoring.lag.collector import families
from penstock.monitoring.lag.observation import Observation

LOGGER: Final = logging.getLogger("penstock.monitoring.lag")


class LagExporter:
    """Runs cycles until it is told to stop.

    Args:
        cycle: looks once.
        cluster: its name in metrics.
        interval_s: from the beginning of one cycle to that of the next.
        clock: time.
        has_other_names: whether lag is told under the names of other exporters, too.
    """

    def __init__(
        self,
        cycle: Callable[[], Observation],
        cluster: str,
        interval_s: float,
        clock: Clock,
        *,
        has_other_names: bool = False,
    ) -> None:
        self._cycle, self._cluster, self._interval_s, self._clock = cycle, cluster, interval_s, clock
        self._has_other_names = has_other_names
        self._seen: Observation | None = None
        self._is_over = threading.Event()

    @property
    def pages(self) -> Pages:
        """To be served; a scrape never asks the cluster."""
        return {"/metrics": self._metrics, "/livez": lambda: Page(b"ok\n"), "/readyz": self._ready}

    def run(self) -> None:
        """Look, wait, look again."""
        while not self._is_over.is_set():
            began_s = self._clock.monotonic_s()
            self.step()
            self._is_over.wait(max(0.0, self._interval_s - (self._clock.monotonic_s() - began_s)))

    def step(self) -> None:
        """Look once."""
        try:
            self._seen = self._cycle()
        except PenstockError as exc:
            LOGGER.warning("this cycle found nothing: %s", exc)

    def stop(self) -> None:
        """End with the cycle in hand; any thread may call this."""
        self._is_over.set()

    def _metrics(self) -> Page:
        now_ms = self._clock.now_ms()
        told = families(self._cluster, self._seen, now_ms, self._interval_s, has_other_names=self._has_other_names)
        return Page(render(told), CONTENT_TYPE)

    def _ready(self) -> Page:
        return Page(b"ok\n") if self._seen is not None else Page(b"no cycle has succeeded yet\n", status=503)
