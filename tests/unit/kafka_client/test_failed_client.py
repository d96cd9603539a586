"""A member whose client meets a fatal error: it is told once, and the client stays out of the group for ever."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from penstock.errors import ConfigurationError, KafkaUnavailable, TransactionAborted
from penstock.kafka.consumer import GroupConsumer
from penstock.kafka.error_map import behind_fatal
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.polled import Partition
from tests.unit.kafka_client.scripted_client import Client, Listener, fatal, scripted_member

GONE = KafkaError(KafkaError.GROUP_ID_NOT_FOUND).str()
NO_RIGHT = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED).str()


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> GroupConsumer:
    made = scripted_member(monkeypatch, listener, GroupSettings(protocol="consumer"))
    Client.made[0].assign(0, 1)
    return made


def test_a_member_whose_client_failed_loses_what_it_had_and_joins_with_another(
    member: GroupConsumer, listener: Listener
) -> None:
    Client.says.append(fatal(GONE))
    with pytest.raises(KafkaUnavailable, match=r"group 'p': _FATAL: .*does not exist; joining it anew"):
        member.poll(10, 0)
    old, new = Client.made
    assert old.is_closed
    assert new.subscribed == ["in"]
    all_of_it = "[('in', 0), ('in', 1)]"
    # And nothing is revoked when the old one closes: that would be committed.
    assert listener.told == [f"assigned {all_of_it}", f"lost {all_of_it}"]
    member.poll(10, 0)  # nor does it hear later of what the old client could not let go of


def test_what_was_given_away_before_is_not_lost(member: GroupConsumer, listener: Listener) -> None:
    Client.made[0].revoke(1)
    Client.says.append(fatal(GONE))
    with pytest.raises(KafkaUnavailable):
        member.poll(10, 0)
    assert listener.told[1:] == ["revoked [('in', 1)]", "lost [('in', 0)]"]


def test_what_a_listener_ran_into_in_the_same_poll_does_not_hide_that_the_client_failed(
    member: GroupConsumer, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once: whoever raised the other error first would never hear of it."""

    def fail(partitions: list[Partition]) -> None:
        raise TransactionAborted(f"{partitions}")

    monkeypatch.setattr(listener, "on_revoked", fail)
    Client.made[0].revoke(1)
    Client.says.append(fatal(GONE))
    with pytest.raises(KafkaUnavailable):
        member.poll(10, 0)
    with pytest.raises(TransactionAborted, match=r"\('in', 1\)"):
        member.poll(10, 0)


def test_another_error_in_the_same_poll_does_not_hide_it_either(
    member: GroupConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "tells_at_once", 2)
    Client.says += [KafkaError(KafkaError._FAIL), fatal(GONE)]
    with pytest.raises(KafkaUnavailable, match="joining it anew"):
        member.poll(10, 0)


def test_a_member_that_has_withdrawn_stays_out_of_the_group(member: GroupConsumer) -> None:
    member.withdraw()
    Client.says.append(fatal(GONE))
    with pytest.raises(KafkaUnavailable):
        member.poll(10, 0)
    assert Client.made[1].subscribed == []


def test_a_fatal_error_that_joining_anew_cannot_mend_is_told_by_its_name(member: GroupConsumer) -> None:
    Client.says.append(fatal(NO_RIGHT))
    with pytest.raises(ConfigurationError, match="GROUP_AUTHORIZATION_FAILED: no right to this group; grant Read"):
        member.poll(10, 0)
    assert len(Client.made) == 1


def test_which_code_the_text_of_a_fatal_error_is_about() -> None:
    found = behind_fatal(fatal(f"{NO_RIGHT}: ConsumerGroupHeartbeat fatal error: {NO_RIGHT}"))
    assert found is not None
    assert found.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert behind_fatal(fatal(GONE)) is None  # no family: nothing that trying again cannot help
