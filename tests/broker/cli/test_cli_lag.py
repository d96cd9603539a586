"""`penstock lag` on a real broker."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]


def test_a_group_is_shown_with_its_lag_in_offsets_and_seconds(
    penstock: Penstock, kafka: KafkaUnderTest, topic_prefix: str
) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, 1)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(10):
        producer.produce(topic_prefix, b"x", partition=0, timestamp=int(time.time() * 1000) - 600_000 + number)
    producer.flush(30)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": topic_prefix})
    consumer.commit(offsets=[TopicPartition(topic_prefix, 0, 4)], asynchronous=False)
    consumer.close()

    done = penstock("lag", topic_prefix, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (row,) = told["partitions"]
    assert (row["committed"], row["end"], row["lag"], row["held_back"], row["lost"]) == (4, 10, 6, 0, 0)
    assert row["time_lag_s"] == pytest.approx(600, rel=0.1)
    assert (told["state"], told["members"]) == ("EMPTY", 0)

    shown = penstock("lag", topic_prefix).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith(topic_prefix)]
    assert line.split()[:6] == [topic_prefix, "0", "4", "10", "6", "0"]
    assert "±" in line


def test_a_group_that_is_not_there_is_a_wrong_command_line(penstock: Penstock, topic_prefix: str) -> None:
    missing = penstock("lag", topic_prefix)
    assert missing.returncode == 2
    assert "there is no group" in missing.stderr
