"""Workers side by side, made of what each told at two moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock.monitoring import catalogue as c
from penstock.monitoring import process_catalogue
from penstock.monitoring.metric import Metric
from penstock.monitoring.scrape import Scrape


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as `penstock top` shows it.

    Attributes:
        worker: its `transactional.id`.
        state: `ready`, or why it is not.
        tasks: that run.
        records_per_s: committed; None at the first look.
        transactions_per_s: likewise.
        time_lag_s: of the partition furthest behind; None = not known.
        buffered: records in hand.
        dead_letters: so far.
        discarded: transactions, so far.
    """

    worker: str
    state: str
    tasks: int
    records_per_s: float | None
    transactions_per_s: float | None
    time_lag_s: float | None
    buffered: int
    dead_letters: int
    discarded: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker told at one moment: its metrics, and its status page."""

    scrape: Scrape
    status: dict[str, Any]


def row(worker: str, now: Told | None, before: Told | None) -> WorkerRow:
    """The worker's line; `now` is None where it did not answer."""
    if now is None:
        return WorkerRow(worker, "does not answer", 0, None, None, None, 0, 0, 0)
    scrape = now.scrape
    lags_s = scrape.numbers(c.PARTITION_TIME_LAG)
    return WorkerRow(
        worker,
        "ready" if now.status["ready"] else str(now.status["reason"]),
        int(scrape.total(c.TASKS, status="running")),
        _rate(c.RECORDS_COMMITTED, now, before),
        _rate(c.TRANSACTIONS, now, before, outcome="committed"),
        max(lags_s, default=None),
        int(scrape.total(c.BUFFERED_RECORDS)),
        int(scrape.total(c.DLQ_RECORDS)),
        int(scrape.total(c.TRANSACTION_ABORTS)),
    )


def _rate(metric: Metric, now: Told, before: Told | None, **labels: str) -> float | None:
    """A second, between the two; None where the worker began anew in between, since its counters did, too."""
    if before is None or now.scrape.total(process_catalogue.STARTED) != before.scrape.total(process_catalogue.STARTED):
        return None
    seconds = now.scrape.at_s - before.scrape.at_s
    if seconds <= 0:
        return None
    return (now.scrape.total(metric, **labels) - before.scrape.total(metric, **labels)) / seconds
