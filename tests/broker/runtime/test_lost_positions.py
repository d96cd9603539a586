"""Positions that are no longer in the log, on a real broker: deleted records, a topic made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide, TransactionAborted
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskStatus
from penstock.runtime.worker import Worker
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

ROWS = 50


def pipeline(name: str, *, is_eager: bool = False) -> Pipeline:
    """Copies; joined with a table, its workers get their partitions in pairs, all of them anew at each change."""
    made = Pipeline(name)
    stream = made.stream(Topic(f"{name}-in", key=str, value=str))
    if is_eager:
        table = made.table(Topic(f"{name}-table", key=str, value=str, config={"retention.ms": "-1"}), name="table")
        stream = stream.left_join(table, lambda value, _: value)
    stream.to(Topic(f"{name}-out", key=str, value=str, partitions=2))
    return made


def publish_numbers(kafka: KafkaUnderTest, topic: str, *numbers: int) -> None:
    rows = [Row(b"k%d" % p, b"%d" % n, p) for p in (0, 1) for n in numbers]
    publish(kafka.bootstrap_servers, topic, rows)


def delete_before(kafka: KafkaUnderTest, topic: str, offsets: dict[int, int]) -> None:
    admin: Any = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, p, o) for p, o in offsets.items()]).values():
        future.result()


def written(kafka: KafkaUnderTest, topic: str) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for records in read(kafka.bootstrap_servers, topic).values():
        for record in records:
            found.setdefault(record.key or b"", []).append(int(record.value or b""))
    return found


def statuses(worker: Worker) -> dict[int, TaskStatus]:
    return {task.id.partition: task.status for task in worker.tasks.values()}


def run_first(kafka: KafkaUnderTest, made: Pipeline, state: Path) -> None:
    """Let a worker deal with the first records, then publish more while none runs."""
    topic = f"{made.name}-in"
    for each in (topic, f"{made.name}-table"):
        create(kafka.bootstrap_servers, each, 2)
    publish_numbers(kafka, topic, *range(ROWS))
    with working(kafka, made, state) as worker:
        step_until(worker, lambda: has_committed(worker, {(topic, p): ROWS for p in (0, 1)}))
        worker.close()
    publish_numbers(kafka, topic, *range(ROWS, 2 * ROWS))


def test_one_task_stops_and_the_other_goes_on(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_first(kafka, pipeline(topic_prefix), tmp_path)
    delete_before(kafka, f"{topic_prefix}-in", {0: ROWS + 20})
    with working(kafka, pipeline(topic_prefix), tmp_path) as worker:
        step_until(worker, lambda: TaskStatus.STOPPED in statuses(worker).values())
        publish_numbers(kafka, f"{topic_prefix}-in", *range(2 * ROWS, 3 * ROWS))
        step_until(worker, lambda: has_committed(worker, {(f"{topic_prefix}-in", 1): 3 * ROWS}))
        assert statuses(worker) == {0: TaskStatus.STOPPED, 1: TaskStatus.RUNNING}
        worker.close()
    assert written(kafka, f"{topic_prefix}-out") == {b"k0": list(range(ROWS)), b"k1": list(range(3 * ROWS))}
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert f"{topic_prefix}-in[0]@{ROWS} to {ROWS + 19} is gone before it was read" in told


class DiscardsTheFirst(WorkerHooks):
    """Fails the commit of what the first task that stops had done before."""

    stops = 0

    def on_stop(self, task: str, error: Exception) -> None:
        del task, error
        self.stops += 1

    def on_step(self, step: str) -> None:
        if step == "send offsets" and self.stops == 1:
            raise TransactionAborted("planted")


@pytest.mark.parametrize("is_eager", [False, True])
def test_a_task_whose_last_work_is_discarded_gets_going_again_and_stops_again(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, is_eager: bool
) -> None:
    """The topic is made anew. The client cannot seek a partition whose position was lost: it is assigned anew."""
    topic = f"{topic_prefix}-in"
    made = pipeline(topic_prefix, is_eager=is_eager)
    run_first(kafka, made, tmp_path)
    hooks = DiscardsTheFirst()
    limits = WorkerLimits(commit_interval_s=12)
    admin = Admin(Connection(kafka.bootstrap_servers))
    with working(kafka, made, tmp_path, limits=limits, hooks=hooks) as worker:
        step_until(worker, lambda: is_staged(worker, {(topic, p): 2 * ROWS for p in (0, 1)}))
        admin.delete([topic])
        step_until(worker, lambda: topic not in admin.topics())
        create(kafka.bootstrap_servers, topic, 2)
        publish_numbers(kafka, topic, 1, 2, 3)
        with pytest.raises(OperatorMustDecide, match=r"@50 comes next, and the log has 0 to 2 only"):
            step_until(worker, lambda: False)
    assert hooks.stops == 3
    assert written(kafka, f"{topic_prefix}-out") == {b"k%d" % p: list(range(ROWS)) for p in (0, 1)}


def is_staged(worker: Worker, offsets: dict[tuple[str, int], int]) -> bool:
    found = {p: offset for task in worker.tasks.values() for p, offset in task.next_offsets.items()}
    return all(found.get(partition, 0) >= offset for partition, offset in offsets.items())
