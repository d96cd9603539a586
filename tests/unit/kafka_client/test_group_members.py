"""Who is in a group, as brokers tell it that are nothing but answers; coordinators that are away and come back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError, KafkaUnavailable
from penstock.kafka import renewed_admin
from penstock.kafka.client import Connection
from penstock.kafka.group_members import GroupMember, GroupMembers
from tests.unit.kafka_client.bare_brokers import Api, Cluster, Group, Member, cluster

ROOT = Path(__file__).parents[3]
ASKS = "tests.unit.kafka_client.asking_a_coordinator"
PATIENCE_S = 20.0

ONE, OTHER = Member("id-1", "p.0", "/10.0.0.1", "t", (0, 2)), Member("id-2", "p.1", "/10.0.0.2", "t", (1,))


@pytest.fixture
def brokers() -> Iterator[Cluster]:
    """Two; the second coordinates the groups `here` and `there` and is not up yet."""
    with cluster(2) as made:
        first, second = made.brokers
        made.coordinators |= {"here": first, "there": second}
        first.groups["here"] = Group([ONE])
        second.groups["there"] = Group([OTHER])
        first.start()
        yield made


@pytest.fixture
def asks(brokers: Cluster) -> Iterator[GroupMembers]:
    made = GroupMembers(Connection(brokers.bootstrap_servers), "asks")
    yield made
    made.close()


@pytest.mark.parametrize("is_newer", [False, True], ids=["classic", "KIP-848"])
def test_members_are_told_with_what_they_have(brokers: Cluster, asks: GroupMembers, *, is_newer: bool) -> None:
    brokers.brokers[0].groups["here"] = Group([ONE, OTHER], is_newer=is_newer)
    found = asks.of("here", PATIENCE_S)
    assert sorted(found, key=lambda member: member.client_id) == [
        GroupMember("p.0", "id-1", "/10.0.0.1", frozenset({("t", 0), ("t", 2)})),
        GroupMember("p.1", "id-2", "/10.0.0.2", frozenset({("t", 1)})),
    ]


def test_only_its_coordinator_is_asked_whoever_else_is_away(asks: GroupMembers) -> None:
    """A broker that is down, and that the others still count, says nothing about the groups of another."""
    assert [member.client_id for member in asks.of("here", PATIENCE_S)] == ["p.0"]


def test_in_a_group_that_there_is_not_is_nobody(asks: GroupMembers) -> None:
    found = asks.described(["nowhere", "here"], PATIENCE_S)
    assert (list(found.groups), found.silent) == (["here"], {})
    assert asks.of("nowhere", PATIENCE_S) == ()


def test_a_group_that_we_may_not_see_is_a_matter_of_configuration(brokers: Cluster, asks: GroupMembers) -> None:
    brokers.brokers[0].groups["here"] = Group(error=30)
    with pytest.raises(ConfigurationError, match=r"'here'.*grant"):
        asks.of("here", PATIENCE_S)


@pytest.mark.parametrize("code", [14, 15, 16, -1])
def test_a_coordinator_that_moves_is_an_outage_and_never_an_empty_group(
    brokers: Cluster, asks: GroupMembers, code: int
) -> None:
    """It loads, is not available, or is none any more; or nobody knows what it has."""
    brokers.brokers[0].groups["here"] = Group(error=code)
    with pytest.raises(KafkaUnavailable, match="'here'"):
        asks.of("here", PATIENCE_S)


def test_a_coordinator_that_is_away_is_waited_for_no_longer_than_asked(asks: GroupMembers) -> None:
    with pytest.raises(KafkaUnavailable, match=r"'there': the coordinator has not answered in 0 s"):
        asks.of("there", 0.3)


def test_a_coordinator_that_is_away_spoils_no_other_group(asks: GroupMembers) -> None:
    assert asks.of("here", PATIENCE_S)
    found = asks.described(["there", "here"], 1.0)
    assert (list(found.groups), list(found.silent)) == (["here"], ["there"])


def asking(how: str) -> int:
    """How a process ends that asks a coordinator which comes up when nobody waits for its answer any more."""
    ended = subprocess.run(
        [sys.executable, "-m", ASKS, how], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    sys.stderr.write(ended.stdout + ended.stderr)
    return ended.returncode


def test_a_coordinator_that_comes_back_ends_no_process() -> None:
    assert asking("ours") == 0


@pytest.mark.parametrize("how", ["timed out", "garbage"])
def test_the_client_left_to_itself_would_end_the_process(how: str) -> None:
    """Why it is not. If this fails, the client is mended, and the rule in `group_members` that it stands for can go."""
    assert asking(how) == -signal.SIGABRT


class Silent:
    """A client that never answers."""

    def __init__(self, *_: object) -> None:
        self.time_outs_s: list[float] = []
        self.is_destroyed = False

    def describe_consumer_groups(self, groups: list[str], request_timeout: float) -> dict[str, Future[object]]:
        self.time_outs_s.append(request_timeout)
        return {group: Future() for group in groups}

    def __exit__(self, *_: object) -> None:
        self.is_destroyed = True


def test_no_question_has_a_time_out_that_could_come_and_no_client_that_owes_an_answer_is_left_as_garbage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Silent()
    monkeypatch.setattr(renewed_admin, "connected", lambda *_: client)
    with pytest.raises(KafkaUnavailable):
        GroupMembers(Connection("nowhere:1"), "asks").of("g", 0.01)
    assert client.time_outs_s == [3_600.0]
    assert client.is_destroyed


def test_after_a_question_without_an_answer_another_client_asks(brokers: Cluster, asks: GroupMembers) -> None:
    with pytest.raises(KafkaUnavailable):
        asks.of("there", 0.1)
    connections = brokers.brokers[0].asked.count(Api.METADATA)
    brokers.brokers[1].start()
    assert [member.client_id for member in asks.of("there", PATIENCE_S)] == ["p.1"]
    assert brokers.brokers[0].asked.count(Api.METADATA) > connections
    assert brokers.brokers[1].asked.count(Api.DESCRIBE_GROUPS) == 1, "the first question went with its client"
