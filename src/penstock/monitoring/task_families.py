"""What is told of a worker's tasks and partitions: from one view of them and from nothing else.

No number of a partition, task or group is kept anywhere, so that none is left behind when it goes to another worker.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping

from penstock.monitoring import catalogue
from penstock.monitoring.exposition import Family, one
from penstock.monitoring.task_view import TaskView, WorkerView

Saved = tuple[int, int]
"""When a task's state was written to disk, milliseconds since 1970 UTC; and up to which of its transactions."""


def task_families(view: WorkerView, pipeline: str, now_ms: int) -> Iterator[Family]:
    """Lag, tasks, buffers, event time, state.

    Args:
        view: the newest.
        pipeline: the worker's.
        now_ms: lag is told as of now, not as of the view.
    """
    inputs = [each for task in view.tasks for each in task.inputs]
    lags = [(each, each.time_lag_s(now_ms)) for each in inputs]
    yield Family(
        catalogue.PARTITION_TIME_LAG,
        [((pipeline, each.topic, str(each.partition)), lag_s) for each, lag_s in lags if lag_s is not None],
    )
    statuses = Tally(task.status for task in view.tasks)
    statuses["restoring"] = len(view.restoring)
    yield Family(catalogue.TASKS, [((pipeline, status), statuses[status]) for status in catalogue.STATUSES])
    yield one(catalogue.BUFFERED_RECORDS, sum(each.buffered for each in inputs), pipeline)
    times_ms: dict[str, int] = {}
    for task in view.tasks:
        if task.stream_time_ms is not None:
            group = task.id.group
            times_ms[group] = min(task.stream_time_ms, times_ms.get(group, task.stream_time_ms))
    yield Family(catalogue.WATERMARK, [((pipeline, group), now / 1000) for group, now in times_ms.items()])
    entries, size_bytes, parked, remaining = Tally[str](), Tally[str](), Tally[str](), Tally[str]()
    for task in view.tasks:
        for store, (count, its_bytes) in (task.stores or {}).items():
            entries[store] += count
            size_bytes[store] += its_bytes
        parked[task.id.group] += task.parked_keys
    for task_id, progress in view.restoring:
        if progress is not None:
            # Its end may turn out to lie before it: control records behind the last record are stepped over.
            remaining[task_id.group] += max(0, progress[1] - progress[0])
    left_s: dict[str, float] = {}
    for task_id, seconds in view.left_s.items():
        left_s[task_id.group] = max(seconds, left_s.get(task_id.group, 0.0))
    yield Family(catalogue.RESTORE_ETA, [((pipeline, group), seconds) for group, seconds in left_s.items()])
    for metric, counts in (
        (catalogue.STATE_ENTRIES, entries),
        (catalogue.STATE_BYTES, size_bytes),
        (catalogue.PARKED_KEYS, parked),
        (catalogue.RESTORE_REMAINING, remaining),
    ):
        yield Family(metric, [((pipeline, name), n) for name, n in counts.items()])


def checkpoint_families(
    view: WorkerView, sizes: Mapping[str, int], saved: Mapping[str, Saved], pipeline: str, now_ms: int
) -> Iterator[Family]:
    """What of the tasks' state is on disk.

    Args:
        view: the newest.
        sizes: {task: bytes of its checkpoint}.
        saved: see `Saved`, by task.
        pipeline: the worker's.
        now_ms: of a task whose state is on disk whole, all of it is there now.
    """
    bytes_on_disk = Tally[str]()
    for task_name, size in sizes.items():
        bytes_on_disk[task_name.rpartition("[")[0]] += size
    yield Family(catalogue.CHECKPOINT_SIZE, [((pipeline, group), n) for group, n in bytes_on_disk.items()])
    oldest_ms = [_saved_ms(saved[str(task.id)], task, now_ms) for task in view.tasks if str(task.id) in saved]
    if oldest_ms:
        yield one(catalogue.CHECKPOINT_SUCCESS, min(oldest_ms) / 1000, pipeline)


def _saved_ms(saved: Saved, task: TaskView, now_ms: int) -> int:
    """Since when a task's state is not on disk; one that has committed nothing since has all of it there."""
    at_ms, sequence = saved
    return at_ms if task.sequence > sequence else now_ms
