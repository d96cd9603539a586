"""Records that only the broker refuses, on a real one: found, judged, and everything else goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.record import Record
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.topology.node import Policy
from tests.broker.harness.bare_reader import group_offsets, read
from tests.broker.harness.topics import Row, alter, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

ROWS = 300
BAD = 123


class Aborts(WorkerHooks):
    """Counts them."""

    def __init__(self) -> None:
        self.count = 0

    def on_abort(self, error: Exception) -> None:
        del error
        self.count += 1


def without_key(record: Record[str, str], ctx: Any) -> list[Record[Any, str]]:
    """The bad one loses its key."""
    del ctx
    return [Record(key=None, value=record.value) if record.value.startswith("bad") else record]


def pipeline(name: str, on_error: Policy = "dead_letter", *, drops_key: bool = False) -> Pipeline:
    made = Pipeline(name, on_error=on_error)
    stream = made.stream(Topic(f"{name}-in", key=str, value=str))
    (stream.process(without_key) if drops_key else stream).to(Topic(f"{name}-out", key=str, value=str))
    return made


def values(kafka: KafkaUnderTest, topic: str) -> list[bytes]:
    return [record.value or b"" for records in read(kafka.bootstrap_servers, topic).values() for record in records]


def letters(kafka: KafkaUnderTest, name: str) -> list[dict[str, bytes | None]]:
    found = read(kafka.bootstrap_servers, f"dlq.{name}.{name}-in")
    return [dict(record.headers) for records in found.values() for record in records]


def run_all(kafka: KafkaUnderTest, made: Pipeline, state: Path, change: Any = None) -> Aborts:
    """Let a worker claim its task, change what is to be changed, and let it work to the end."""
    hooks = Aborts()
    limits = WorkerLimits(commit_interval_s=1.0)
    with working(kafka, made, state, limits=limits, hooks=hooks) as worker:
        if change is not None:
            step_until(worker, lambda: bool(worker.tasks))
            change()
        step_until(worker, lambda: has_committed(worker, {(f"{made.name}-in", 0): ROWS}))
        worker.close()
    return hooks


def rows(bad: bytes = b"bad", bad_ms: int = 0) -> list[Row]:
    return [Row(b"k", bad if n == BAD else b"%d" % n, timestamp_ms=bad_ms if n == BAD else 0) for n in range(ROWS)]


GOOD = [b"%d" % n for n in range(ROWS) if n != BAD]


def test_a_record_without_a_key_for_a_compacted_topic(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """The broker blames all records of its batch; only the one is set aside."""
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    create(kafka.bootstrap_servers, f"{topic_prefix}-out", cleanup_policy="compact")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", rows())
    hooks = run_all(kafka, pipeline(topic_prefix, drops_key=True), tmp_path)
    assert values(kafka, f"{topic_prefix}-out") == GOOD
    (headers,) = letters(kafka, topic_prefix)
    assert headers["penstock.dlq.stage"] == b"sink"
    assert headers["__dlq.errors.offset"] == b"%d" % BAD
    assert b"INVALID_RECORD" in (headers["__dlq.errors.message"] or b"")
    assert 1 < hooks.count < 12


def test_a_timestamp_that_the_topic_takes_no_more(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """Nearer to the bound than clocks are trusted, so the broker is the judge."""
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    create(kafka.bootstrap_servers, f"{topic_prefix}-out", message_timestamp_after_max_ms="1000")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", rows(bad_ms=int(time.time() * 1000) + 200_000))
    run_all(kafka, pipeline(topic_prefix), tmp_path)
    assert values(kafka, f"{topic_prefix}-out") == GOOD
    (headers,) = letters(kafka, topic_prefix)
    assert headers["penstock.dlq.stage"] == b"sink"
    assert b"INVALID_TIMESTAMP" in (headers["__dlq.errors.message"] or b"")


def test_a_timestamp_far_ahead_is_known_before_it_is_sent(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """A day ahead: the source takes it, what is written has Kafka's default of an hour."""
    create(kafka.bootstrap_servers, f"{topic_prefix}-in", message_timestamp_after_max_ms=str(10**12))
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", rows(bad_ms=int(time.time() * 1000) + 86_400_000))
    hooks = run_all(kafka, pipeline(topic_prefix), tmp_path)
    assert values(kafka, f"{topic_prefix}-out") == GOOD
    (headers,) = letters(kafka, topic_prefix)
    assert (headers["penstock.dlq.stage"], headers["penstock.dlq.reason"]) == (b"encode", b"timestamp")
    assert hooks.count == 0


def test_a_topic_that_takes_less_than_when_the_worker_was_started(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """One transaction is discarded. Batches are smaller from then on: many small records do not make a large one."""
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", rows(b"bad" * 1_000))
    hooks = run_all(
        kafka,
        pipeline(topic_prefix),
        tmp_path,
        lambda: alter(kafka.bootstrap_servers, f"{topic_prefix}-out", max_message_bytes="2000"),
    )
    assert values(kafka, f"{topic_prefix}-out") == GOOD
    (headers,) = letters(kafka, topic_prefix)
    assert (headers["penstock.dlq.stage"], headers["penstock.dlq.reason"]) == (b"encode", b"oversize")
    assert hooks.count == 1


def test_a_dead_letter_topic_that_takes_little_gets_little(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    create(kafka.bootstrap_servers, f"{topic_prefix}-out", cleanup_policy="compact")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", rows(b"bad" * 2_000))
    run_all(
        kafka,
        pipeline(topic_prefix, drops_key=True),
        tmp_path,
        lambda: alter(kafka.bootstrap_servers, f"dlq.{topic_prefix}.{topic_prefix}-in", max_message_bytes="3000"),
    )
    assert values(kafka, f"{topic_prefix}-out") == GOOD
    (headers,) = letters(kafka, topic_prefix)
    assert headers["penstock.dlq.truncated.bytes"] == b"6000"
    assert headers["__dlq.errors.offset"] == b"%d" % BAD


def test_the_policy_to_stop_keeps_what_came_before(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    create(kafka.bootstrap_servers, f"{topic_prefix}-out", cleanup_policy="compact")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", rows())
    with pytest.raises(OperatorMustDecide, match=rf"-in\[0\]@{BAD} failed at 'to-.*-out' \(stage sink\)"):
        run_all(kafka, pipeline(topic_prefix, "fail", drops_key=True), tmp_path)
    (committed,) = group_offsets(kafka.bootstrap_servers, topic_prefix, f"{topic_prefix}-in", [0])
    assert committed.offset == BAD
    assert values(kafka, f"{topic_prefix}-out") == GOOD[:BAD]
