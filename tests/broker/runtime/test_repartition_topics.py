"""The topic between two task groups, on a broker: its settings, its purge, and time behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined] # re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

import penstock as ps
from penstock.errors import ConfigurationError
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read

pytestmark = pytest.mark.broker

ROWS, PARTITIONS = 1_200, 3


@pytest.fixture
def source(kafka: KafkaUnderTest, topic_prefix: str) -> str:
    """Numbers, in their order in each partition."""
    topic = f"{topic_prefix}-numbers"
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic, PARTITIONS)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for n in range(ROWS):
        producer.produce(topic, str(n), f"key-{n % 5}", partition=n % PARTITIONS)
    assert producer.flush(30) == 0
    return topic


@ps.processor()
def judge(record: ps.Record[str, str], ctx: ps.Context) -> Iterator[ps.Record[str, str]]:
    """Late is what is more than ten behind stream time."""
    is_late = ctx.event_time_ms < ctx.stream_time_ms - 10
    yield record.with_value(f"{record.value} late" if is_late else record.value)


def by_digit(name: str, source: str, partitions: int | None = 2) -> ps.Pipeline:
    made = ps.Pipeline(name)
    stream = made.stream(ps.Topic(source, key=str, value=str), timestamp=int)
    moved = stream.key_by(lambda text: text[-1], name="by-digit", partitions=partitions)
    moved.process(judge).to(ps.Topic(f"{name}-out", key=str, value=str, partitions=1))
    moved.count(name="counts").to_stream().map(str).to(ps.Topic(f"{name}-counts", key=str, value=str, partitions=1))
    return made


@contextmanager
def working(
    kafka: KafkaUnderTest, pipeline: ps.Pipeline, state: Path, purge_interval_s: float = 1e9
) -> Generator[Worker]:
    around = WorkerSurroundings(
        Connection(kafka.bootstrap_servers),
        None,
        state,
        purge_interval_s=purge_interval_s,
        consumer_options={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.02, max_batch_records=40),
    )
    with opened(pipeline.topology(), around, WorkerHooks()) as worker:
        yield worker


def step_until(worker: Worker, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline
        worker.step()


def values(kafka: KafkaUnderTest, topic: str, *, at_once: bool = False) -> list[str]:
    """Of all partitions; those of one key in their order."""
    return [
        (r.value or b"").decode()
        for _, records in sorted(read(kafka.bootstrap_servers, topic, at_once=at_once).items())
        for r in records
    ]


def committed(worker: Worker, topic: str) -> dict[tuple[str, int], int]:
    offsets = {p: at for task in worker.tasks.values() for p, at in task.committed.next_offsets.items()}
    return {partition: at for partition, at in offsets.items() if partition[0] == topic}


def is_done(kafka: KafkaUnderTest, worker: Worker, source: str, between: str) -> bool:
    if not worker.is_idle or sum(committed(worker, source).values()) < ROWS:
        return False
    ends = Admin(Connection(kafka.bootstrap_servers)).end_offsets([(between, 0), (between, 1)])
    return all(committed(worker, between).get(p, 0) >= end for p, end in ends.items())


def test_an_upstream_task_that_stands_still_for_the_whole_run_changes_nothing_behind_it(
    kafka: KafkaUnderTest, source: str, topic_prefix: str, tmp_path: Path
) -> None:
    """One partition is read when all others are done: its records are far behind in event time, and none is late."""
    alone, stalled = f"{topic_prefix}-a", f"{topic_prefix}-b"
    with working(kafka, by_digit(alone, source), tmp_path / "a") as worker:
        step_until(worker, lambda: is_done(kafka, worker, source, f"{alone}.by-digit.repartition"))
        worker.close()

    between = f"{stalled}.by-digit.repartition"
    with working(kafka, by_digit(stalled, source), tmp_path / "b") as worker:
        step_until(worker, lambda: len(worker.tasks) == PARTITIONS + 2)
        worker._consumer.pause([(source, 1)])
        others = ROWS - ROWS // PARTITIONS
        step_until(worker, lambda: len(values(kafka, f"{stalled}-out", at_once=True)) >= others)
        assert all(task.committed.time.now_ms is None for task in worker.tasks.values() if task.id.group == "by-digit")
        worker._consumer.resume([(source, 1)])
        step_until(worker, lambda: is_done(kafka, worker, source, between))
        worker.close()

    assert sorted(values(kafka, f"{stalled}-out")) == sorted(values(kafka, f"{alone}-out"))
    assert sorted(values(kafka, f"{stalled}-out")) == sorted(str(n) for n in range(ROWS))
    assert sorted(values(kafka, f"{stalled}-counts")) == sorted(values(kafka, f"{alone}-counts"))


def test_what_was_read_is_deleted_and_what_was_not_never_is(
    kafka: KafkaUnderTest, source: str, topic_prefix: str, tmp_path: Path
) -> None:
    """As often as it can while the pipeline works, with a restart in the middle; then everything is gone."""
    admin = Admin(Connection(kafka.bootstrap_servers))
    between = f"{topic_prefix}.by-digit.repartition"
    places = [(between, 0), (between, 1)]
    purged = 0
    for part in ("first", "rest"):
        with working(kafka, by_digit(topic_prefix, source), tmp_path, purge_interval_s=0.05) as worker:

            def is_far(worker: Worker = worker, part: str = part) -> bool:
                nonlocal purged
                begins, known = admin.begin_offsets(places), committed(worker, between)
                purged += sum(begins.values())
                assert all(begin <= known.get(place, begin) for place, begin in begins.items())
                if part == "first":
                    return sum(known.values()) > ROWS // 3
                return is_done(kafka, worker, source, between)

            step_until(worker, is_far)
            if part == "rest":
                step_until(worker, lambda worker=worker: admin.begin_offsets(places) == committed(worker, between))  # type: ignore[misc]
    assert purged
    assert admin.begin_offsets(places) == admin.end_offsets(places)
    assert sorted(values(kafka, f"{topic_prefix}-out")) == sorted(str(n) for n in range(ROWS))


def test_a_repartition_topic_that_would_lose_records_is_refused(
    kafka: KafkaUnderTest, source: str, topic_prefix: str, tmp_path: Path
) -> None:
    with working(kafka, by_digit(topic_prefix, source), tmp_path):
        pass
    name = f"{topic_prefix}.by-digit.repartition"
    entry = ConfigEntry("retention.ms", "604800000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    client.incremental_alter_configs([resource])[resource].result(30)
    with (
        pytest.raises(ConfigurationError, match=r"by-digit.repartition' has retention.ms=604800000, and needs -1"),
        working(kafka, by_digit(topic_prefix, source), tmp_path),
    ):
        pass
    with (
        pytest.raises(ConfigurationError, match=r"by-digit.repartition' has 2 partitions and 'by-digit' says 4"),
        working(kafka, by_digit(topic_prefix, source, partitions=4), tmp_path),
    ):
        pass


def test_an_input_that_is_given_more_partitions_moves_no_key_behind_a_repartition_and_is_refused_in_front_of_a_store(
    kafka: KafkaUnderTest, source: str, topic_prefix: str, tmp_path: Path
) -> None:
    keyed = ps.Pipeline(f"{topic_prefix}-keyed")
    keyed.stream(ps.Topic(source, key=str, value=str)).count(name="counts")
    for pipeline in (keyed, by_digit(topic_prefix, source, partitions=None)):
        with working(kafka, pipeline, tmp_path):
            pass
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    client.create_partitions([NewPartitions(source, 5)])[source].result(30)
    with (
        pytest.raises(
            ConfigurationError, match="5 partitions, 3 when it was deployed; keys have moved away from their state"
        ),
        working(kafka, keyed, tmp_path),
    ):
        pass
    with working(kafka, by_digit(topic_prefix, source, partitions=None), tmp_path) as worker:
        step_until(worker, lambda: len(worker.tasks) == 5 + PARTITIONS)
    there = Admin(Connection(kafka.bootstrap_servers)).topics()
    assert there[f"{topic_prefix}.by-digit.repartition"].partitions == PARTITIONS


def test_a_global_table_is_whole_in_every_task_before_it_begins_and_follows_its_topic(
    kafka: KafkaUnderTest, source: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Its topic has another number of partitions than the stream; the last one to be read is as good as the first."""
    names = f"{topic_prefix}-names"
    Admin(Connection(kafka.bootstrap_servers)).create(
        [TopicSettings(names, 4, config={"cleanup.policy": "compact"}), TopicSettings(f"{topic_prefix}-out", 1)]
    )
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for digit in range(10):
        producer.produce(names, f"name {digit}", str(digit), partition=digit % 4)
    producer.produce(names, None, "7", partition=3)
    assert producer.flush(30) == 0

    made = ps.Pipeline(topic_prefix)
    table = made.global_table(
        ps.Topic(names, key=str, value=str, config={"cleanup.policy": "compact"}, tombstones=True), name="names"
    )
    stream = made.stream(ps.Topic(source, key=str, value=str))
    named = stream.left_join(table, lambda text, name: f"{text} {name}", on=lambda text: text[-1])
    named.to(ps.Topic(f"{topic_prefix}-out", key=str, value=str))

    def rows() -> list[str]:
        return values(kafka, f"{topic_prefix}-out")

    with working(kafka, made, tmp_path) as worker:
        step_until(worker, lambda: worker.is_idle and sum(committed(worker, source).values()) >= ROWS)
        assert sorted(rows()) == sorted(f"{n} {'None' if n % 10 == 7 else f'name {n % 10}'}" for n in range(ROWS))
        producer.produce(names, "seven", "7", partition=3)
        assert producer.flush(30) == 0
        number = ROWS
        while not any(row.endswith("7 seven") for row in rows()):
            producer.produce(source, f"{number}7", "k", partition=0)
            assert producer.flush(30) == 0
            number += 1
            step_until(worker, lambda: len(rows()) == number)  # noqa: B023 - called at once
