"""Slow user code on a real broker: the group's patience is shorter than a whole batch would take."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.kafka.client import Option
from penstock.runtime.hooks import Rebalance, WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

ROWS, RECORD_S, MAX_POLL_INTERVAL_MS = 100, 0.05, 2_000


class Moves(WorkerHooks):
    """Notes how partitions come and go."""

    def __init__(self) -> None:
        self.kinds: list[Rebalance] = []

    def on_rebalance(self, kind: Rebalance, partitions: list[tuple[str, int]]) -> None:
        del partitions
        self.kinds.append(kind)


def slowly(text: str) -> str:
    time.sleep(RECORD_S)  # the work itself: nothing waits for it to be over
    return text


def test_a_worker_with_slow_code_stays_in_its_group(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """All records in one batch would take 5 s, two and a half times what the group bears."""
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", [Row(b"k", b"%d" % n) for n in range(ROWS)])
    made = Pipeline(topic_prefix)
    slow = made.stream(Topic(f"{topic_prefix}-in", key=str, value=str)).map(slowly, name="slowly")
    slow.to(Topic(f"{topic_prefix}-out", key=str, value=str))
    hooks = Moves()
    options: dict[str, Option] = {
        "session.timeout.ms": 1_500,
        "heartbeat.interval.ms": 300,
        "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
    }
    limits = WorkerLimits(max_batch_s=0.3)
    with working(kafka, made, tmp_path, limits=limits, hooks=hooks, options=options) as worker:
        step_until(worker, lambda: has_committed(worker, {(f"{topic_prefix}-in", 0): ROWS}))
        assert hooks.kinds == ["assigned"]
        worker.close()
    found = [
        record.value for records in read(kafka.bootstrap_servers, f"{topic_prefix}-out").values() for record in records
    ]
    assert found == [b"%d" % n for n in range(ROWS)]
