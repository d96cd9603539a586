"""A group member's ends and its proof of a gap, on a topic with committed, aborted and control records."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from penstock.errors import KafkaUnavailable
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.consumer import GroupConsumer
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.polled import Partition, Polled
from penstock.testing.proxy import Api, KafkaProxy
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import members, until

pytestmark = pytest.mark.broker

COMMITTED, END = [0, 1, 2, 8, 9, 10], 16
"""Three transactions of three records, the second aborted, each with its marker; then an aborted one at the end."""


class Assigned:
    """Notes what was assigned, and what was lost."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []
        self.lost: list[Partition] = []

    def on_assigned(self, partitions: list[Partition]) -> None:
        self.partitions += partitions

    def on_revoked(self, partitions: list[Partition]) -> None:
        del partitions

    def on_lost(self, partitions: list[Partition]) -> None:
        self.lost += partitions


def publish(kafka: KafkaUnderTest, topic: str) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic, 1)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic})
    producer.init_transactions()
    for is_aborted in (False, True, False, True):
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(topic, b"value")
        producer.flush(30)
        if is_aborted:
            producer.abort_transaction()
        else:
            producer.commit_transaction()


def poll_until(consumer: GroupConsumer, is_so: Callable[[Polled], bool]) -> list[Polled]:
    found: list[Polled] = []
    for _ in range(300):
        found.append(consumer.poll(100, 0.1))
        if is_so(found[-1]):
            return found
    raise AssertionError("nothing came")


def has_all(listener: Assigned, places: list[Partition]) -> Callable[[Polled], bool]:
    return lambda _: len(listener.partitions) == len(places)


def reaches_all_ends(places: list[Partition]) -> Callable[[Polled], bool]:
    ended: set[Partition] = set()

    def are_there(polled: Polled) -> bool:
        ended.update(polled.ends)
        return len(ended) == len(places)

    return are_there


def test_an_end_and_a_gap_are_told_from_the_log(kafka: KafkaUnderTest, topic_prefix: str) -> None:
    """An end comes behind the records before it, and steps over aborted ones and markers; so does the proof."""
    publish(kafka, topic_prefix)
    listener = Assigned()
    consumer = GroupConsumer(Connection(kafka.bootstrap_servers), topic_prefix, topic_prefix, listener)
    place = (topic_prefix, 0)
    try:
        consumer.subscribe([topic_prefix])
        poll_until(consumer, lambda _: bool(listener.partitions))
        for start, expected in ((0, COMMITTED), (3, [8, 9, 10]), (11, []), (END, [])):
            consumer.start({place: start})
            found = poll_until(consumer, lambda polled: bool(polled.ends))
            assert [offset for polled in found for batch in polled.batches for offset in batch.offsets] == expected
            assert [end for polled in found for end in polled.ends.items()] == [(place, END)]
            assert consumer.first_offset_from(place, start) == (expected[0] if expected else None)
    finally:
        consumer.close()


def test_a_log_that_does_not_begin_at_zero_is_read_from_where_it_is_told(
    kafka: KafkaUnderTest, topic_prefix: str
) -> None:
    """Several times, since it was a race: nothing may be asked for before the position is known."""
    places = [(topic_prefix, number) for number in range(8)]
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, len(places))])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(10 * len(places)):
        producer.produce(topic_prefix, b"value", partition=number % len(places))
    assert producer.flush(30) == 0
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for deleted in client.delete_records([TopicPartition(*place, 6) for place in places]).values():
        deleted.result(30)
    for trial in range(5):
        listener = Assigned()
        name = f"{topic_prefix}-{trial}"
        consumer = GroupConsumer(Connection(kafka.bootstrap_servers), name, name, listener)
        try:
            consumer.subscribe([topic_prefix])
            poll_until(consumer, has_all(listener, places))
            for _ in range(3):
                consumer.poll(100, 0.05)
            consumer.start(dict.fromkeys(places, 7))
            found = poll_until(consumer, reaches_all_ends(places))
            offsets = [offset for polled in found for batch in polled.batches for offset in batch.offsets]
            assert sorted(offsets) == sorted([7, 8, 9] * len(places))
        finally:
            consumer.close()


def short_session(group: str) -> ConfigResource:
    """Shorter than the client's own patience with a heartbeat."""
    entry = ConfigEntry("consumer.session.timeout.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ResourceType.GROUP, group, incremental_configs=[entry])


def test_a_member_whose_client_fails_for_good_is_back_with_another(kafka: KafkaUnderTest, topic_prefix: str) -> None:
    """Its session ends while a heartbeat is on its way, and its group is deleted: its client does nothing any more."""
    group, place = f"{topic_prefix}-group", (topic_prefix, 0)
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, 1)])
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for changed in client.incremental_alter_configs([short_session(group)]).values():
        changed.result()
    listener, settings = Assigned(), GroupSettings(protocol="consumer")
    with KafkaProxy(kafka.bootstrap_servers) as proxy:
        consumer = GroupConsumer(Connection(proxy.bootstrap_servers), group, "p.0", listener, settings)
        try:
            consumer.subscribe([topic_prefix])
            poll_until(consumer, lambda _: bool(listener.partitions))
            proxy.delay(4.0, Api.CONSUMER_GROUP_HEARTBEAT, client_id="p.0").wait()
            until(lambda: members(kafka, group) == 0)
            client.delete_consumer_groups([group])[group].result()
            with pytest.raises(KafkaUnavailable, match=r"group id does not exist.*with another client"):
                poll_until(consumer, lambda _: False)
            assert listener.lost == [place]
            poll_until(consumer, lambda _: len(listener.partitions) == 2)
            assert listener.partitions == [place, place]
            assert consumer.group_metadata().is_live
        finally:
            consumer.close()
