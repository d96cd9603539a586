"""What a worker's tasks have parked, as metrics beside that of their keys."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.deadletter.parking import ParkedCounts
from penstock.monitoring import catalogue
from penstock.monitoring.exposition import Family
from penstock.monitoring.task_view import WorkerView


def parked_families(view: WorkerView, pipeline: str) -> Iterator[Family]:
    """Records, their size, and since when the first of them waits.

    Args:
        view: the newest.
        pipeline: the worker's.
    """
    by_group: dict[str, list[ParkedCounts]] = {}
    for task in view.tasks:
        by_group.setdefault(task.id.group, []).append(task.parked)
    counts = {(pipeline, group): ParkedCounts.of_all(each) for group, each in by_group.items()}
    yield Family(catalogue.PARKED_RECORDS, [(labels, each.records) for labels, each in counts.items()])
    yield Family(catalogue.PARKED_BYTES, [(labels, each.size_bytes) for labels, each in counts.items()])
    yield Family(catalogue.PARKED_OLDEST, [(labels, (each.oldest_ms or 0) / 1000) for labels, each in counts.items()])
