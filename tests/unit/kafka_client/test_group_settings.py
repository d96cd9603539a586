"""How a worker takes part in its group, by librdkafka's names; and what a name that is taken means."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaError

from penstock.errors import DuplicateIdentity
from penstock.kafka.group_settings import GroupProtocol, GroupSettings
from penstock.kafka.static_instance import InstanceIsTaken, StaticInstance, raise_if_taken
from tests.unit.publishing.in_memory import ManualClock


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("is_copartitioned", [False, True])
@pytest.mark.parametrize("instance_id", [None, "p.0"])
@pytest.mark.parametrize("session_timeout_ms", [1_000, 10_000, 300_000])
def test_the_client_takes_every_combination(
    protocol: GroupProtocol, is_copartitioned: bool, instance_id: str | None, session_timeout_ms: int
) -> None:
    """It refuses options that do not fit together when a client is made."""
    settings = GroupSettings(protocol, session_timeout_ms, instance_id, is_copartitioned)
    Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "p", "log_level": 0, **settings.as_options()}).close()


def test_topics_that_are_read_together_are_assigned_by_ranges_and_so_are_static_members_of_the_classic_protocol() -> (
    None
):
    """Only the classic range takes everything from everybody at each change."""
    strategies = {
        (protocol, together, instance_id): GroupSettings(protocol, instance_id=instance_id, is_copartitioned=together)
        for protocol in ("classic", "consumer")
        for together in (False, True)
        for instance_id in (None, "p.0")
    }
    found = {
        key: (options.get("partition.assignment.strategy"), options.get("group.remote.assignor"), settings.is_eager)
        for key, settings in strategies.items()
        for options in [settings.as_options()]
    }
    assert found == {
        ("classic", False, None): ("cooperative-sticky", None, False),
        ("classic", False, "p.0"): ("range", None, True),
        ("classic", True, None): ("range", None, True),
        ("classic", True, "p.0"): ("range", None, True),
        ("consumer", False, None): (None, "uniform", False),
        ("consumer", False, "p.0"): (None, "uniform", False),
        ("consumer", True, None): (None, "range", False),
        ("consumer", True, "p.0"): (None, "range", False),
    }


@pytest.mark.parametrize(
    ("session_timeout_ms", "heartbeat_ms"), [(1_000, 100), (1_500, 100), (10_000, 500), (45_000, 1_000)]
)
def test_a_member_hears_of_changes_well_within_its_session(session_timeout_ms: int, heartbeat_ms: int) -> None:
    options = GroupSettings(session_timeout_ms=session_timeout_ms).as_options()
    assert options["heartbeat.interval.ms"] == heartbeat_ms
    assert options["session.timeout.ms"] == session_timeout_ms


def test_further_options_go_over_ours() -> None:
    assert GroupSettings(options={"session.timeout.ms": 7_000}).as_options()["session.timeout.ms"] == 7_000


def test_only_fatal_errors_about_the_instance_are_taken_for_such() -> None:
    for code, is_replaced in ((KafkaError.FENCED_INSTANCE_ID, True), (KafkaError.UNRELEASED_INSTANCE_ID, False)):
        with pytest.raises(InstanceIsTaken) as caught:
            raise_if_taken(KafkaError(KafkaError._FATAL, f"Fatal error: {KafkaError(code).str()}: more"))
        assert caught.value.is_replaced is is_replaced
    raise_if_taken(KafkaError(KafkaError._FATAL, "Fatal error: something else"))
    raise_if_taken(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))


def test_a_name_that_a_dead_one_may_hold_is_asked_for_until_it_would_be_forgotten() -> None:
    clock = ManualClock()
    instance, held = StaticInstance("p.0", 10.0, clock), InstanceIsTaken(is_replaced=False)
    while clock.now_s <= 1_025:
        instance.judge(held)
    instance.has_joined()
    instance.judge(held)
    clock.now_s += 26
    with pytest.raises(DuplicateIdentity, match=r"'p\.0' \(group\.instance\.id\)"):
        instance.judge(held)
