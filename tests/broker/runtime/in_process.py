"""A worker in the test's own process, stepped until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from penstock.dsl.pipeline import Pipeline
from penstock.kafka.client import Connection, Option
from penstock.runtime.guarantee import Guarantee
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.merge import Partition
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.testing.pytest_plugin import KafkaUnderTest


@contextmanager
def working(
    kafka: KafkaUnderTest,
    pipeline: Pipeline,
    state: Path,
    *,
    limits: WorkerLimits | None = None,
    hooks: WorkerHooks | None = None,
    options: Mapping[str, Option] | None = None,
    instance: str = "0",
    guarantee: Guarantee = "exactly_once",
    timeout_ms: int = 20_000,
) -> Generator[Worker]:
    """A worker that leaves its group at the end of the block; what it had not committed is gone with it."""
    around = WorkerSurroundings(
        connection=Connection(kafka.bootstrap_servers),
        registry=None,
        state_directory=state,
        instance=instance,
        guarantee=guarantee,
        transaction_timeout_ms=timeout_ms,
        transaction_budget_ms=timeout_ms * 3 // 4,
        consumer_options={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500, **(options or {})},
        limits=limits or WorkerLimits(commit_interval_s=0.01),
    )
    with opened(pipeline.topology(), around, hooks or WorkerHooks()) as worker:
        yield worker


def step_until(worker: Worker, is_so: Callable[[], bool], timeout_s: float = 90.0) -> None:
    """Step until it is so."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        worker.step()


def has_committed(worker: Worker, offsets: Mapping[Partition, int]) -> bool:
    """Whether the worker's tasks have come that far, as committed."""
    found = {p: offset for task in worker.tasks.values() for p, offset in task.committed.next_offsets.items()}
    return all(found.get(partition, 0) >= offset for partition, offset in offsets.items())
