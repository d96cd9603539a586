"""A static member whose name another one holds, on a client that follows a script."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from penstock.errors import DuplicateIdentity
from penstock.kafka.consumer import GroupConsumer
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.static_instance import InstanceIsTaken, InstanceReplaced, StaticInstance, raise_if_taken
from tests.unit.kafka_client.scripted_client import Client, Listener, fatal, scripted_member
from tests.unit.publishing.in_memory import ManualClock

REPLACED = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
HELD = KafkaError(KafkaError.UNRELEASED_INSTANCE_ID).str()


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> GroupConsumer:
    return scripted_member(monkeypatch, listener, GroupSettings(instance_id="p.0"))


def test_a_member_that_is_replaced_leaves_with_nothing_and_joins_only_when_it_is_told(
    member: GroupConsumer, listener: Listener
) -> None:
    """What it had is gone already: a listener that committed now would open a transaction, and fence a twin."""
    Client.says.append(fatal(REPLACED))
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
    Client.says.append(fatal(HELD))
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
