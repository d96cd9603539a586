"""A table that was published after the stream, at the first start of its pipeline, on a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.worker import Worker
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

ROWS, PARTITIONS = 400, 2
KEPT = {"retention.ms": "-1"}


def pipeline(prefix: str) -> Pipeline:
    """An inner join: an order without a name leaves nothing behind."""
    made = Pipeline(prefix)
    names = made.table(Topic(f"{prefix}-names", key=str, value=str, config=KEPT), name="names")
    orders = made.stream(Topic(f"{prefix}-orders", key=str, value=str))
    orders.join(names, lambda order, name: f"{order} {name}").to(Topic(f"{prefix}-out", key=str, value=str))
    return made


def rows(kind: str) -> list[Row]:
    """A row for each key, the same keys in each partition of both topics."""
    return [Row(b"k%d" % n, f"{kind}{n}".encode(), n % PARTITIONS) for n in range(ROWS)]


def published(kafka: KafkaUnderTest, prefix: str) -> None:
    """The stream first, then the table, all of whose timestamps are later."""
    for name, config in (("orders", {}), ("names", {"retention_ms": "-1"})):
        create(kafka.bootstrap_servers, f"{prefix}-{name}", PARTITIONS, **config)
        publish(kafka.bootstrap_servers, f"{prefix}-{name}", rows(name[0]))


def everything(prefix: str) -> dict[tuple[str, int], int]:
    return {(f"{prefix}-{name}", p): ROWS // PARTITIONS for name in ("orders", "names") for p in range(PARTITIONS)}


def matches(kafka: KafkaUnderTest, prefix: str) -> list[str]:
    found = read(kafka.bootstrap_servers, f"{prefix}-out").values()
    return sorted((record.value or b"").decode() for records in found for record in records)


ALL = sorted(f"o{n} n{n}" for n in range(ROWS))


def test_every_order_finds_its_name(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    published(kafka, topic_prefix)
    with working(kafka, pipeline(topic_prefix), tmp_path) as worker:
        step_until(worker, lambda: has_committed(worker, everything(topic_prefix)))
        worker.close()
    assert matches(kafka, topic_prefix) == ALL


def test_a_worker_that_dies_in_the_middle_of_the_table_changes_nothing(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """Some of the table is committed, no order is; the next worker goes on with the table."""
    published(kafka, topic_prefix)
    limits = WorkerLimits(max_batch_records=20, commit_interval_s=0.001)
    with working(kafka, pipeline(topic_prefix), tmp_path, limits=limits) as worker:
        step_until(worker, lambda: names_committed(worker, topic_prefix) > 0)
        assert 0 < names_committed(worker, topic_prefix) < ROWS
        assert matches(kafka, topic_prefix) == []
    with working(kafka, pipeline(topic_prefix), tmp_path) as worker:
        step_until(worker, lambda: has_committed(worker, everything(topic_prefix)))
        worker.close()
    assert matches(kafka, topic_prefix) == ALL


def names_committed(worker: Worker, prefix: str) -> int:
    offsets = {p: offset for task in worker.tasks.values() for p, offset in task.committed.next_offsets.items()}
    return sum(offset for (topic, _), offset in offsets.items() if topic == f"{prefix}-names")
