"""Checkpoints with real files and a real broker: what the next start reads, and from where."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock as ps
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.runtime.hooks import RestoreReport, WorkerHooks
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.runtime import numbers_topic

pytestmark = pytest.mark.broker

PARTITIONS = numbers_topic.PARTITIONS


class Seen(WorkerHooks):
    """What was restored, and what was written."""

    def __init__(self) -> None:
        self.restores: dict[str, RestoreReport] = {}
        self.written: list[CheckpointWritten | CheckpointFailed] = []

    def on_restore(self, restore: RestoreReport) -> None:
        self.restores[restore.task] = restore

    def on_checkpoint(self, task: str, outcome: CheckpointWritten | CheckpointFailed) -> None:
        del task
        self.written.append(outcome)


def pipeline(name: str, topic: str) -> ps.Pipeline:
    made = ps.Pipeline(name, on_error="dead_letter")
    numbers = made.stream(ps.Topic(topic, key=str, value=str)).map(int, name="parse")
    total = numbers.aggregate(int, lambda total, n: total + n, name="sum")
    total.to_stream().map(str, name="show").to(ps.Topic(f"{name}-sums", key=str, value=str, partitions=2))
    return made


def run(kafka: KafkaUnderTest, made: ps.Pipeline, state: Path, last: tuple[int, ...], *, gracefully: bool) -> Seen:
    """One worker, until everything is dealt with."""
    seen = Seen()
    around = WorkerSurroundings(
        Connection(kafka.bootstrap_servers),
        registry=None,
        state_directory=state,
        checkpoint_interval_s=0.1,
        consumer_options={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 300},
    )
    with opened(made.topology(), around, seen) as worker:
        while not (
            worker.is_idle
            and len(worker.tasks) == PARTITIONS
            and all(
                offset >= last[partition]
                for task in worker.tasks.values()
                for (_, partition), offset in task.committed.next_offsets.items()
            )
        ):
            worker.step()
        while not gracefully and not any(isinstance(each, CheckpointWritten) and each.entries for each in seen.written):
            worker.step()
        if gracefully:
            worker.close()
    return seen


def test_a_start_reads_its_checkpoint_and_only_the_rest_from_the_changelog(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """After a graceful stop there is no rest; after a stop without one there is; both give the same sums."""
    numbers = numbers_topic.publish(kafka.bootstrap_servers)
    made = pipeline(topic_prefix, numbers.topic)
    first = run(kafka, made, tmp_path, numbers.last, gracefully=False)
    assert {report.rejected for report in first.restores.values()} == {"absent"}
    second = run(kafka, made, tmp_path, numbers.last, gracefully=True)
    assert any(report.checkpoint_bytes for report in second.restores.values())
    third = run(kafka, made, tmp_path, numbers.last, gracefully=True)
    for report in third.restores.values():
        assert report.rejected is None
        assert report.records <= 1, "nothing but commit records behind the last checkpoint"
    found = {
        record.key: record.value
        for log in read(kafka.bootstrap_servers, f"{topic_prefix}-sums").values()
        for record in log
    }
    assert found == {key: b"%d" % sums[-1] for key, sums in numbers_topic.expected_sums(numbers).items()}
    for file in tmp_path.rglob("checkpoint"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_changelog_that_was_made_anew_is_not_continued_from_an_old_checkpoint(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """Its name is the same and its id is not: the checkpoint is wiped, and the group's offsets betray the loss."""
    numbers = numbers_topic.publish(kafka.bootstrap_servers)
    made = pipeline(topic_prefix, numbers.topic)
    run(kafka, made, tmp_path, numbers.last, gracefully=True)
    admin = Admin(Connection(kafka.bootstrap_servers))
    changelog = f"{topic_prefix}.{numbers.topic}.changelog"
    before = admin.topic_ids([changelog])
    admin.delete([changelog])
    while changelog in admin.topics():
        continue
    admin.create([TopicSettings(changelog, PARTITIONS, config={"cleanup.policy": "compact"})])
    assert admin.topic_ids([changelog]) != before
    with pytest.raises(ps.PenstockError, match="its changelog is empty"):
        run(kafka, made, tmp_path, numbers.last, gracefully=True)
    assert len(list(tmp_path.rglob("checkpoint"))) < PARTITIONS, "that of the task which stopped the worker is gone"
