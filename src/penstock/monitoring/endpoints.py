"""The five pages of a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.clock import Clock
from penstock.monitoring.exposition import CONTENT_TYPE, OPENMETRICS, render, render_openmetrics
from penstock.monitoring.health import Health, Verdict
from penstock.monitoring.http import Page, Pages
from penstock.monitoring.worker_metrics import WorkerMetrics

JSON = "application/json"


def worker_pages(worker: str, metrics: WorkerMetrics, health: Health, clock: Clock) -> Pages:
    """{path: page}. None of them asks Kafka anything, nor waits for the loop.

    Args:
        worker: its `transactional.id`.
        metrics: of it.
        health: likewise.
        clock: time.
    """
    return {
        "/metrics": lambda: Page(render(metrics.families()), CONTENT_TYPE),
        "/livez": _verdict(health.live),
        "/readyz": _verdict(health.ready),
        "/startupz": _verdict(health.started),
        "/status": lambda: Page(msgspec.json.encode(status(worker, metrics, health, clock)) + b"\n", JSON),
    }


def openmetrics_pages(metrics: WorkerMetrics) -> Pages:
    """The same `/metrics` for whoever takes OpenMetrics: with exemplars."""
    return {"/metrics": lambda: Page(render_openmetrics(metrics.families()), OPENMETRICS)}


def _verdict(ask: Callable[[], Verdict]) -> Callable[[], Page]:
    def page() -> Page:
        verdict = ask()
        return Page(f"{verdict.reason}\n".encode(), status=200 if verdict.is_good else 503)

    return page


def status(worker: str, metrics: WorkerMetrics, health: Health, clock: Clock) -> dict[str, Any]:
    """What a person wants to know first, as JSON; times in milliseconds since 1970 UTC, ages in seconds."""
    # Each once: the loop goes on meanwhile, and its transaction may end between two looks.
    view, abort, ready, open_since_ms = metrics.view, metrics.last_abort, health.ready(), metrics.open_since_ms
    now_ms = clock.now_ms()
    return {
        "worker": worker,
        "group": metrics.group,
        "ready": ready.is_good,
        "reason": ready.reason,
        "last_poll_ms": metrics.last_poll_ms,
        "transaction_open_s": None if open_since_ms is None else max(0, now_ms - open_since_ms) / 1000,
        "last_abort": None if abort is None else {"at_ms": abort[0], "reason": abort[1]},
        "tasks": [
            {
                "task": str(task.id),
                "status": task.status,
                "breaker": task.breaker.value,
                "entries": task.entries,
                "stores": {
                    store: {"entries": entries, "bytes": size_bytes}
                    for store, (entries, size_bytes) in (task.stores or {}).items()
                },
                "inputs": [
                    {
                        "topic": each.topic,
                        "partition": each.partition,
                        "next_offset": each.next_offset,
                        "buffered": each.buffered,
                        "time_lag_s": each.time_lag_s(now_ms),
                    }
                    for each in task.inputs
                ],
            }
            for task in view.tasks
        ],
        "restoring": [
            {"task": str(task_id), "read": None if done is None else done[0], "of": None if done is None else done[1]}
            for task_id, done in view.restoring
        ],
    }
