"""How many dead letters wait on a real broker, while a pipeline writes them and the ledger deals with them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from penstock.dsl.pipeline import Pipeline
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.redrive.backlog import Backlog, BacklogReader, PipelinesTopics
from penstock.redrive.ledger import Ledger, Run, ledger_topic, run_record
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker


def numbers(name: str) -> Pipeline:
    made = Pipeline(name, on_error="dead_letter")
    made.stream(Topic(f"{name}-in", key=str, value=str)).map(int, name="parse").map(str, name="show").to(
        Topic(f"{name}-out", key=str, value=str, partitions=1)
    )
    return made


def process(kafka: KafkaUnderTest, name: str, state: Path, values: list[bytes]) -> None:
    """Publish these, and have the pipeline deal with all that is there."""
    publish(kafka.bootstrap_servers, f"{name}-in", [Row(b"k", each, n % 2) for n, each in enumerate(values)])
    found = read(kafka.bootstrap_servers, f"{name}-in")
    ends = {(f"{name}-in", partition): records[-1].offset + 1 for partition, records in found.items() if records}
    with working(kafka, numbers(name), state) as worker:
        step_until(worker, lambda: has_committed(worker, ends))
        worker.close()


def write(kafka: KafkaUnderTest, ledger: Ledger, run: Run | None = None) -> None:
    """What is staged in the ledger, as a redrive would."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    name = ledger_topic(ledger.topic.split(".")[1]).name
    pairs = list(zip(*ledger.staged(), strict=True))
    for key, value in [*pairs, *([run_record(run)] if run is not None else [])]:
        producer.produce(name, value, key)
    assert producer.flush(30) == 0
    ledger.settle()


def test_letters_count_from_their_commit_until_the_ledger_has_dealt_with_them(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    name, topic, connection = topic_prefix, f"dlq.{topic_prefix}.{topic_prefix}-in", Connection(kafka.bootstrap_servers)
    create(kafka.bootstrap_servers, f"{name}-in", 2)
    began_ms = int(time.time() * 1000)
    process(kafka, name, tmp_path, [b"1", b"2"])
    assert PipelinesTopics(connection, f"dlq.{name}.").names() == [topic]
    backlog = BacklogReader(connection, topic, ledger_topic(name).name)
    assert backlog.look() == Backlog(0, None)

    process(kafka, name, tmp_path, [b"3", b"bad", b"worse", b"4", b"none"])
    first = backlog.look()
    assert first.letters == 3
    assert first.oldest_ms is not None
    assert began_ms <= first.oldest_ms <= int(time.time() * 1000)

    admin = Admin(connection)
    admin.create([ledger_topic(name)])
    ledger = Ledger(topic, admin.topic_ids([topic])[topic])
    letters = read(kafka.bootstrap_servers, topic).items()
    places = [(partition, record.offset) for partition, records in letters for record in records]
    ledger.mark(*places[0], "redriven")
    ledger.mark(*places[1], "dropped")
    write(kafka, ledger)
    until(lambda: backlog.look().letters == 1)

    process(kafka, name, tmp_path, [b"more"])
    until(lambda: backlog.look().letters == 2)
    ledger.mark(*places[1], "open")
    write(kafka, ledger, Run(id="r", action="reopen", topic=topic, letters=1, is_finished=True))
    until(lambda: backlog.look().letters == 3)
    assert BacklogReader(connection, topic, ledger_topic(name).name).look() == backlog.look(), (
        "as who begins now sees it"
    )
