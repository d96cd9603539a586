"""Looks at Prometheus once a second: which alerts fire, and which panels have been filled."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from tests.servers.prometheus import Prometheus
from tests.servers.shipped_queries import PANELS, RECORDED_SERIES, Question

FIRING: Final = 'ALERTS{alertname!="Watchdog",alertstate="firing"}'
_EVERY_S: Final = 0.5
Key = tuple[str, str]
"""(alert, whose)."""


def whose(labels: Mapping[str, str]) -> str:
    """Of whom an alert is: its pipeline, group, topic, cluster or worker, the first that it has."""
    return next((labels[name] for name in ("pipeline", "group", "topic", "cluster", "worker") if name in labels), "")


@dataclass
class Watch:
    """Runs for the time of the block.

    Attributes:
        prometheus: who is asked.
        firing: what fires now: {alert: since when, of `time.monotonic`}.
        over: what fired and does not any more: (alert, since, until).
        empty: panels and recorded series that have given nothing so far.
        filled: the others, with when they were.
    """

    prometheus: Prometheus
    firing: dict[Key, float] = field(default_factory=dict[Key, float])
    over: list[tuple[Key, float, float]] = field(default_factory=list[tuple[Key, float, float]])
    empty: set[Question] = field(default_factory=lambda: {*PANELS, *RECORDED_SERIES})
    filled: dict[Question, float] = field(default_factory=dict[Question, float])
    failed: BaseException | None = None

    def __post_init__(self) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    def fired_since(self, began_s: float) -> dict[Key, float]:
        """{alert that has fired at some time since then: when it began to}."""
        found = {key: since_s for key, since_s, until_s in list(self.over) if until_s >= began_s}
        return found | dict(self.firing)

    def over_after(self, key: Key, since_s: float) -> float | None:
        """For how long an alert fired that began to then; None = it still does, or never did."""
        return next((end_s - began_s for k, began_s, end_s in self.over if k == key and began_s == since_s), None)

    def check(self) -> None:
        """Raises what went wrong on its thread."""
        if self.failed is not None:
            raise self.failed

    def _run(self) -> None:
        try:
            while not self._is_over.wait(_EVERY_S):
                self._look()
        except BaseException as exc:  # noqa: BLE001 - raised by `check`
            self.failed = exc

    def _look(self) -> None:
        fires = {(sample.labels["alertname"], whose(sample.labels)) for sample in self.prometheus.query(FIRING)}
        now_s = time.monotonic()
        for key in self.firing.keys() - fires:
            self.over.append((key, self.firing.pop(key), now_s))
        for key in fires - self.firing.keys():
            self.firing[key] = now_s
        for question in list(self.empty):
            if self.prometheus.query(question.expr):
                self.empty.discard(question)
                self.filled[question] = now_s
