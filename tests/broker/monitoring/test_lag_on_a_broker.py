"""The lag of groups on a real broker: open, aborted, idle, deleted, compacted, and the age of what waits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.clock import SystemClock
from penstock.kafka import survey as surveys
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.record_deletion import RecordDeleter
from penstock.kafka.survey import Survey
from penstock.monitoring.lag.observation import Backlog, Observation
from penstock.monitoring.lag.observer import Observer, ObserverRules
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until

pytestmark = pytest.mark.broker


class Scene:
    """A topic of one partition, a group that commits what it is told to, and who looks at it."""

    def __init__(self, kafka: KafkaUnderTest, name: str) -> None:
        self.connection = Connection(kafka.bootstrap_servers)
        self.topic, self.group = name, f"{name}-group"
        self.survey = Survey(self.connection, "test-survey")
        self.admin = Admin(self.connection)
        self._servers = kafka.bootstrap_servers

    def create(self, **config: str) -> None:
        self.admin.create(
            [TopicSettings(self.topic, 1, config={name.replace("_", "."): v for name, v in config.items()})]
        )

    def producer(self, transactional: bool = True) -> Producer:
        options: dict[str, str | int] = {"bootstrap.servers": self._servers}
        if transactional:
            options["transactional.id"] = self.topic
        made = Producer(options)
        if transactional:
            made.init_transactions(30)
        return made

    def write(self, producer: Producer, records: int, *, key: bytes | None = None, at_ms: int = 0) -> None:
        for number in range(records):
            producer.produce(self.topic, b"x", key, partition=0, timestamp=at_ms + number if at_ms else 0)
        producer.flush(30)

    def commit(self, offset: int) -> None:
        consumer = Consumer({"bootstrap.servers": self._servers, "group.id": self.group})
        consumer.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)
        consumer.close()

    def observer(self, *, probes: bool = False) -> Observer:
        rules = ObserverRules(groups=re.compile(re.escape(self.group)), probes=probes)
        return Observer(self.survey, rules, SystemClock())

    def backlog(self, observer: Observer | None = None) -> Backlog:
        (found,) = self.observation(observer).backlogs
        return found

    def observation(self, observer: Observer | None = None) -> Observation:
        return (observer or self.observer()).cycle()


@pytest.fixture
def scene(kafka: KafkaUnderTest, topic_prefix: str) -> Iterator[Scene]:
    made = Scene(kafka, topic_prefix)
    with closing(made.survey):
        yield made


def test_behind_an_open_transaction_a_group_has_no_lag_and_the_transaction_shows(scene: Scene) -> None:
    scene.create()
    producer = scene.producer()
    producer.begin_transaction()
    scene.write(producer, 3)
    producer.commit_transaction(30)
    until(lambda: scene.admin.end_offsets([(scene.topic, 0)], "read_committed")[scene.topic, 0] == 4)
    producer.begin_transaction()
    scene.write(producer, 5)
    scene.commit(4)
    seen = scene.observation()
    (found,) = seen.backlogs
    extent = seen.extents[scene.topic, 0]
    assert (found.lag, found.end, found.status) == (0, 4, "ok")
    assert (extent.last_stable, extent.high_watermark) == (4, 9)
    assert found.time_lag is not None
    assert found.time_lag.seconds == 0
    producer.commit_transaction(30)
    until(lambda: scene.backlog().lag == 6)


def test_a_group_that_reads_uncommitted_is_found_out_by_its_commit(scene: Scene) -> None:
    scene.create()
    producer = scene.producer()
    producer.begin_transaction()
    scene.write(producer, 10)
    scene.commit(4)
    assert scene.backlog().lag == 6
    producer.abort_transaction(30)


def test_what_was_aborted_behind_a_commit_is_lag_until_it_is_looked_at(scene: Scene) -> None:
    """Offsets cannot tell aborted records and markers from records; a look with Read rights can."""
    scene.create()
    producer = scene.producer()
    producer.begin_transaction()
    scene.write(producer, 3)
    producer.commit_transaction(30)
    producer.begin_transaction()
    scene.write(producer, 2)
    producer.abort_transaction(30)
    until(lambda: scene.admin.end_offsets([(scene.topic, 0)], "read_committed")[scene.topic, 0] == 7)
    scene.commit(3)
    assert scene.backlog().lag == 4
    probing = scene.observer(probes=True)
    scene.backlog(probing)
    found = scene.backlog(probing)
    assert (found.lag, found.status) == (0, "ok")
    assert found.time_lag is not None
    assert found.time_lag.seconds == 0
    producer.begin_transaction()
    scene.write(producer, 1)
    producer.commit_transaction(30)
    until(lambda: scene.backlog(probing).lag == 6)


def test_an_idle_topic_has_no_lag_and_one_never_written_neither(scene: Scene) -> None:
    scene.create()
    scene.commit(0)
    found = scene.backlog()
    assert (found.lag, found.headroom, found.status) == (0, 1.0, "ok")
    assert found.time_lag is not None
    assert found.time_lag.seconds == 0


@pytest.mark.parametrize("place", [0, 1, 450, 999])
def test_the_age_of_the_next_record_is_right_at_the_first_look(scene: Scene, place: int) -> None:
    """Records of an hour, one each 3.6 seconds; the observer has never looked before."""
    scene.create()
    began_ms = int(time.time() * 1000) - 3_600_000
    producer = scene.producer(transactional=False)
    for number in range(1_000):
        producer.produce(scene.topic, b"x", partition=0, timestamp=began_ms + number * 3_600)
        if number % 50 == 0:
            producer.flush(30)
    producer.flush(30)
    scene.commit(place)
    found = scene.backlog()
    now_s = time.time()
    truth_s = now_s - (began_ms + place * 3_600) / 1000
    assert found.time_lag is not None
    assert found.time_lag.seconds == pytest.approx(truth_s, rel=0.05, abs=1.0)
    assert abs(found.time_lag.seconds - truth_s) <= found.time_lag.error_s + 1.0


def test_what_was_deleted_before_it_was_read_is_lost(scene: Scene) -> None:
    scene.create()
    scene.write(scene.producer(transactional=False), 20)
    scene.commit(5)
    observer = scene.observer()
    assert scene.backlog(observer).status == "ok"
    deleter = RecordDeleter(scene.connection, "test-deletes")
    delete_up_to(deleter, (scene.topic, 0), 12)
    until(lambda: scene.admin.begin_offsets([(scene.topic, 0)])[scene.topic, 0] == 12)
    seen = scene.observation(observer)
    (found,) = seen.backlogs
    assert (found.lag, found.status, found.headroom) == (8, "lost", 0.0)
    assert seen.lost == {(scene.group, scene.topic): 7}


def delete_up_to(deleter: RecordDeleter, place: tuple[str, int], offset: int) -> None:
    answer = deleter.delete({place: offset})
    until(lambda: answer.outcome() is not None)


@pytest.mark.full
def test_on_a_compacted_topic_time_lag_is_that_of_what_is_left(scene: Scene) -> None:
    """Everything before the last record of a key is gone; offsets still count it."""
    scene.create(cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.0", min_compaction_lag_ms="0")
    producer = scene.producer(transactional=False)
    old_ms = int(time.time() * 1000) - 1_800_000
    scene.write(producer, 100, key=b"same", at_ms=old_ms)
    time.sleep(0.2)  # the segment is to be old enough to be closed by the next record
    scene.write(producer, 1, key=b"same")
    time.sleep(0.2)
    scene.write(producer, 1, key=b"other")
    scene.commit(0)
    # The cleaner comes every 15 seconds.
    until(lambda: scene.survey.at_times({(scene.topic, 0): 0})[scene.topic, 0].offset == 100, 60)
    found = scene.backlog()
    assert found.lag == 102
    assert found.time_lag is not None
    assert found.time_lag.seconds < 120, "the next record that is left is young"


def test_members_and_what_they_have_are_seen(scene: Scene) -> None:
    scene.create()
    consumer = Consumer(
        {
            "bootstrap.servers": scene.connection.bootstrap_servers,
            "group.id": scene.group,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([scene.topic])
    for _ in range(200):
        consumer.poll(0.1)
        if consumer.assignment():
            break
    seen = scene.observation()
    (found,) = seen.backlogs
    assert (found.status, found.lag) == ("uncommitted", None)
    assert (seen.groups[scene.group].state, seen.groups[scene.group].members) == ("STABLE", 1)
    consumer.close()


def test_many_groups_share_a_bounded_number_of_clients(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.create()
    monkeypatch.setattr(surveys, "_MOST_CLIENTS", 2)
    for number in range(5):
        assert scene.survey.committed(f"{scene.group}-{number}", [(scene.topic, 0)]) == {}
        assert len(scene.survey._members) <= 2
