"""A static member whose name another one holds, on a client that follows a script."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from penstock.errors import DuplicateIdentity
from penstock.kafka import consumer as consumer_module
from penstock.kafka.client import Connection
from penstock.kafka.consumer import GroupConsumer
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.polled import Partition
from penstock.kafka.static_instance import InstanceIsTaken, InstanceReplaced, StaticInstance, raise_if_taken
from tests.unit.publishing.in_memory import ManualClock

REPLACED = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
HELD = KafkaError(KafkaError.UNRELEASED_INSTANCE_ID).str()


def fatal(text: str) -> KafkaError:
    return KafkaError(KafkaError._FATAL, f"Fatal error: {text}", True)


class Client:
    """As librdkafka's consumer, of which a fatal error is the last that is heard; closing it revokes what it has."""

    made: list[Client]
    says: list[KafkaError]

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.subscribed: list[str] = []
        self.is_closed = False
        self.made.append(self)

    def subscribe(
        self, topics: list[str], on_assign: Callable[..., None], on_revoke: Callable[..., None], on_lost: object
    ) -> None:
        del on_assign, on_lost
        self.subscribed, self.on_revoke = topics, on_revoke

    def consume(self, most: int, timeout_s: float) -> list[Any]:
        del most, timeout_s
        errors = [self.says.pop(0)] if self.says else []
        return [
            SimpleNamespace(error=lambda e=e: e, topic=lambda: None, partition=lambda: None, offset=lambda: None)
            for e in errors
        ]

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        del partitions
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def close(self) -> None:
        self.is_closed = True
        if self.subscribed:
            self.on_revoke(self, [TopicPartition("in", 0)])


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_assigned(self, partitions: list[Partition]) -> None:
        self.told.append(f"assigned {partitions}")

    def on_revoked(self, partitions: list[Partition]) -> None:
        self.told.append(f"revoked {partitions}")

    def on_lost(self, partitions: list[Partition]) -> None:
        self.told.append(f"lost {partitions}")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> GroupConsumer:
    """It has subscribed, and hears nothing yet."""
    Client.made, Client.says = [], []
    monkeypatch.setattr(consumer_module, "Consumer", Client)
    made = GroupConsumer(Connection("nowhere:1"), "p", "p.0", listener, GroupSettings(instance_id="p.0"))
    made.subscribe(["in"])
    return made


def test_a_member_that_is_replaced_leaves_with_nothing_and_joins_only_when_it_is_told(
    member: GroupConsumer, listener: Listener
) -> None:
    """What it had is gone already: a listener that committed now would open a transaction, and fence a twin."""
    Client.says = [fatal(REPLACED)]
    with pytest.raises(InstanceReplaced, match=r"'p\.0' \(group\.instance\.id\)"):
        member.poll(10, 0)
    old, new = Client.made
    assert old.is_closed
    assert listener.told == []
    assert new.subscribed == []
    member.poll(10, 0)  # nor does it hear later of what the old client could not let go of
    member.subscribe(["in"])
    assert new.subscribed == ["in"]


def test_a_member_that_is_refused_asks_again_with_another_client(member: GroupConsumer) -> None:
    Client.says = [fatal(HELD)]
    member.poll(10, 0)
    old, new = Client.made
    assert old.is_closed
    assert new.subscribed == ["in"]


def test_which_fatal_errors_are_about_the_name() -> None:
    for text, is_replaced in ((REPLACED, True), (HELD, False)):
        with pytest.raises(InstanceIsTaken) as taken:
            raise_if_taken(fatal(text))
        assert taken.value.is_replaced is is_replaced
    raise_if_taken(fatal("something else"))
    raise_if_taken(KafkaError(KafkaError.FENCED_INSTANCE_ID))  # of a commit: the poll will say the same, fatally


def test_a_predecessor_is_waited_for_until_a_dead_one_would_be_forgotten() -> None:
    """Two session time-outs and a little: a coordinator that has moved counts from anew."""
    clock = ManualClock()
    instance = StaticInstance("p.0", 10.0, clock)
    began_s = clock.now_s

    def wait() -> None:
        for _ in range(1_000):
            instance.judge(InstanceIsTaken(is_replaced=False))

    with pytest.raises(DuplicateIdentity, match=r"'p\.0'.*give one of them another instance name"):
        wait()
    assert 25 <= clock.now_s - began_s < 26


def test_each_wait_for_a_predecessor_begins_anew_once_the_name_was_ours() -> None:
    clock = ManualClock()
    instance = StaticInstance("p.0", 10.0, clock)
    for _ in range(3):
        instance.judge(InstanceIsTaken(is_replaced=False))
        clock.now_s += 20
        instance.has_joined()
