"""`penstock topics` and `penstock doctor` on a real broker."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {each["subject"]: each for each in json.loads(done.stdout)["findings"]}


def test_topics_are_listed_with_offsets_cleanup_and_retention(
    penstock: Penstock, kafka: KafkaUnderTest, topic_prefix: str
) -> None:
    admin = Admin(Connection(kafka.bootstrap_servers))
    admin.create(
        [
            TopicSettings(f"{topic_prefix}-plain", 3, config={"retention.ms": "3600000"}),
            TopicSettings(f"{topic_prefix}.cursors", 1, config={"cleanup.policy": "compact"}),
        ]
    )
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(5):
        producer.produce(f"{topic_prefix}-plain", b"x", partition=number % 3)
    producer.flush(20)

    shown = penstock("topics")
    assert shown.returncode == 0
    rows = [line.split() for line in shown.stdout.splitlines() if line.startswith(topic_prefix)]
    assert rows == [[f"{topic_prefix}-plain", "3", "1", "5", "delete", "1", "h"]]
    assert "not shown; --all shows them" in shown.stderr

    listed = {row["name"]: row for row in json.loads(penstock("topics", "--all", "--json").stdout)}
    assert listed[f"{topic_prefix}-plain"] == {
        "name": f"{topic_prefix}-plain",
        "partitions": 3,
        "replication": 1,
        "offsets": 5,
        "cleanup": "delete",
        "retention_ms": 3_600_000,
        "retention_bytes": -1,
        "leaderless": [],
    }
    assert listed[f"{topic_prefix}.cursors"]["cleanup"] == "compact"


def test_a_kafka_that_does_not_answer_is_exit_code_4(penstock: Penstock) -> None:
    done = penstock("topics", PENSTOCK_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 4
    assert "Kafka at 127.0.0.1:1 does not answer" in done.stderr
    assert "penstock kafka up" in done.stderr
    assert done.stdout == ""


def test_the_doctor_finds_a_healthy_machine_healthy(penstock: Penstock) -> None:
    done = penstock("doctor")
    assert done.returncode == 0, done.stdout
    assert "✗" not in done.stdout
    assert "✓ transactions: usable" in done.stdout
    assert "0 wrong" in done.stdout
    assert "✓ topic __transaction_state: 1 copy, min.insync.replicas 1" in done.stdout
    protocols = (
        "✓ group protocols: classic, consumer, streams; classic: a dead member is noticed after 1 s to 30 min, as"
    )
    assert f"{protocols} it asks; consumer: after 6 s (group.consumer.session.timeout.ms)\n" in done.stdout
    assert "✓ late produce requests: the brokers refuse those of a transaction that is over" in done.stdout


def test_the_doctor_wants_three_brokers_in_production(penstock: Penstock) -> None:
    done = penstock("--profile", "prod", "doctor", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["healthy"] is False
    bad = {subject for subject, each in findings(done).items() if each["mark"] == "bad"}
    assert bad == {"Kafka", "topic __consumer_offsets", "topic __transaction_state"}


def test_the_doctor_goes_on_as_far_as_it_can(penstock: Penstock) -> None:
    """Neither server answers: each is told once, with what to do."""
    done = penstock(
        "doctor", "--json", PENSTOCK_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1", PENSTOCK_REGISTRY__URL="http://127.0.0.1:1"
    )
    assert done.returncode == 1
    found = findings(done)
    assert {subject for subject, each in found.items() if each["mark"] == "bad"} == {"Kafka", "schema registry"}
    assert "penstock kafka up" in found["Kafka"]["found"] + found["schema registry"]["advice"]
    assert found["librdkafka"]["mark"] == "good"


def test_the_doctor_notices_that_something_else_answers(penstock: Penstock, kafka: KafkaUnderTest) -> None:
    """Kafka's port is no registry."""
    address = kafka.bootstrap_servers.split(",")[0]
    found = findings(penstock("doctor", "--json", PENSTOCK_REGISTRY__URL=f"http://{address}"))
    assert found["schema registry"]["mark"] == "bad"


def test_the_doctor_notices_a_topic_with_the_wrong_number_of_partitions(
    penstock_process: Penstock, kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "producers").mkdir()
    (tmp_path / "producers" / "levels.py").write_text(
        "import penstock as ps\n"
        f'LEVELS = ps.Topic("{topic_prefix}", key=str, value=str, partitions=2)\n'
        f'@ps.producer("{topic_prefix}", topic=LEVELS)\n'
        "def levels(cursor):\n"
        "    yield from ()\n"
    )
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, partitions=3)])
    done = penstock_process("doctor", "--json")
    found = findings(done)
    assert done.returncode == 1
    assert found[f"topic {topic_prefix}"]["found"] == "3 partitions, declared are 2"
    assert f"dlq.{topic_prefix}" in found["topics not there yet"]["found"]
