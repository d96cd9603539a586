"""Records without a time, and of the far future, on a real broker: each is processed, or set aside with its time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

FAR_MS = 253_402_300_799_999
"""The end of the year 9999."""
ANY_TIME = {
    "message_timestamp_before_max_ms": str(2**63 - 1),
    "message_timestamp_after_max_ms": str(2**63 - 1),
    "retention_ms": "-1",
}


def test_each_is_processed_or_set_aside_with_its_time(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    name, servers = topic_prefix, kafka.bootstrap_servers
    for topic in (f"{name}-in", f"{name}-out"):
        create(servers, topic, 1, **ANY_TIME)
    times_ms = [-1, 1, FAR_MS, int(time.time() * 1000)]
    rows = [Row(b"k", value, timestamp_ms=each) for each in times_ms for value in (b"1", b"bad")]
    publish(servers, f"{name}-in", rows)
    made = Pipeline(name, on_error="dead_letter")
    made.stream(Topic(f"{name}-in", key=str, value=str)).map(int, name="parse").map(str, name="show").to(
        Topic(f"{name}-out", key=str, value=str)
    )
    with working(kafka, made, tmp_path) as worker:
        step_until(worker, lambda: has_committed(worker, {(f"{name}-in", 0): len(rows)}))
        worker.close()
    for topic, value in ((f"{name}-out", b"1"), (f"dlq.{name}.{name}-in", b"bad")):
        found = [(record.value, record.timestamp_ms) for records in read(servers, topic).values() for record in records]
        assert found == [(value, each) for each in times_ms], topic
