"""A group as it is seen from outside: its members, its offsets while a transaction is pending, ends that differ."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.errors import KafkaUnavailable
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.group_offsets import UnstableOffsets
from penstock.kafka.group_view import Answer, Asked, GroupView
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[3]

T = TypeVar("T")


def answered(ask: Callable[[], Answer[T]]) -> T:
    """The answer, asked for again where none came in time."""
    question = Asked(ask)
    deadline = time.monotonic() + 60
    while True:
        try:
            return question.get()
        except KafkaUnavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.001)


def first_answer(answer: Answer[T]) -> T:
    deadline = time.monotonic() + 60
    while (found := answer.get()) is None:
        assert time.monotonic() < deadline, "no answer"
        time.sleep(0.001)
    return found


def joined(kafka: KafkaUnderTest, topic: str, name: str, protocol: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": topic,
            "client.id": name,
            "group.protocol": protocol,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    for _ in range(200):
        consumer.poll(0.1)
        if consumer.assignment():
            return consumer
    raise AssertionError("no assignment")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_are_told_by_client_and_member_id(kafka: KafkaUnderTest, topic_prefix: str, protocol: str) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, 2)])
    consumer = joined(kafka, topic_prefix, "worker.a", protocol)
    view = GroupView(Connection(kafka.bootstrap_servers), topic_prefix, "asks")
    (member,) = answered(view.members)
    assert member.client_id == "worker.a"
    assert member.member_id == consumer.memberid()
    assert member.assigned == {(topic_prefix, 0), (topic_prefix, 1)}
    consumer.close()
    assert answered(view.members) == ()


def test_an_open_transaction_shows_in_offsets_and_ends(kafka: KafkaUnderTest, topic_prefix: str) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, 2)])
    consumer = joined(kafka, topic_prefix, "worker.a", "classic")
    view = GroupView(Connection(kafka.bootstrap_servers), topic_prefix, "asks")
    place, other = (topic_prefix, 0), (topic_prefix, 1)
    assert answered(lambda: view.stable_offsets([place, other])) == {}

    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_prefix})
    producer.init_transactions(30)
    for offset in (7, 8):
        producer.begin_transaction()
        producer.produce(topic_prefix, b"value", partition=1)
        producer.flush(30)
        producer.send_offsets_to_transaction(
            [TopicPartition(*place, offset, metadata=f"at {offset}")], consumer.consumer_group_metadata()
        )
        if offset == 7:
            producer.commit_transaction(30)

    with pytest.raises(UnstableOffsets, match="a transaction with them is open"):
        first_answer(view.stable_offsets([place]))
    assert answered(lambda: view.stable_offsets([other])) == {}
    assert answered(lambda: view.last_offsets([place, other])) == {place: Committed(7, "at 7")}
    extents = answered(lambda: view.extents([place, other]))
    assert extents[place] == Extent(0, 0, 0)
    assert extents[other] == Extent(0, 2, 3)
    assert extents[other].is_open
    assert not extents[place].is_open

    question = Asked(lambda: view.stable_offsets([place]))
    with pytest.raises(KafkaUnavailable):
        question.get()
    producer.abort_transaction(30)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert question.get() == {place: Committed(7, "at 7")}
            break
        except KafkaUnavailable:
            time.sleep(0.01)
    else:
        raise AssertionError("never answered")
    consumer.close()


@pytest.mark.parametrize("times", [50, pytest.param(500, marks=pytest.mark.full)])
def test_many_who_ask_at_once_for_what_the_client_does_not_know_end_no_process(
    kafka: KafkaUnderTest, times: int
) -> None:
    asking = [sys.executable, "-m", "tests.broker.kafka_client.asking_for_extents", kafka.bootstrap_servers]
    ended = subprocess.run([*asking, str(times)], cwd=ROOT, capture_output=True, text=True, timeout=1_000, check=False)
    assert ended.returncode == 0, ended.stderr
