"""What is asked of a cluster by who is no member of anything."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Producer

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.survey import Survey
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

QUESTIONS = 100


@contextmanager
def written_to(kafka: KafkaUnderTest, topic: str) -> Generator[threading.Event]:
    """Records without transactions, one request after the other, while the block lasts; set once one is there."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
    has_begun, is_over = threading.Event(), threading.Event()

    def write() -> None:
        while not is_over.is_set():
            producer.produce(topic, b"1", partition=0)
            if producer.flush(30) == 0:
                has_begun.set()

    thread = threading.Thread(target=write, name="writer")
    thread.start()
    try:
        yield has_begun
    finally:
        is_over.set()
        thread.join()


def test_records_that_come_in_between_two_questions_are_no_open_transaction(
    kafka: KafkaUnderTest, topic_prefix: str
) -> None:
    place = (topic_prefix, 0)
    connection = Connection(kafka.bootstrap_servers)
    Admin(connection).create([TopicSettings(topic_prefix, 1)])
    with closing(Survey(connection, "test")) as survey, written_to(kafka, topic_prefix) as has_begun:
        assert has_begun.wait(30)
        found = [survey.extents([place])[place] for _ in range(QUESTIONS)]
    assert found[0].high_watermark < found[-1].high_watermark, "nothing came in meanwhile"
    assert not [extent for extent in found if extent.is_open]
