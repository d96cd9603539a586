"""Three brokers; one of them, or two, dies or stands still while a worker is at a step of its commit.

The victim is whoever matters most at that step: the coordinator of the worker's transactions, that of the group, or the
leader of what it writes. Afterwards every broker's files must tell the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from confluent_kafka.admin import AdminClient

from penstock.embedded import KafkaCluster
from penstock.testing.history.reading import java_hash
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.cast import Cast
from tests.broker.runtime.numbers_topic import Numbers, publish

pytestmark = [pytest.mark.broker, pytest.mark.crashes, pytest.mark.timeout(600)]

Role = Literal["transactions", "group", "changelog"]
STEPS: list[tuple[str, Role]] = [
    ("changelog", "changelog"),
    ("flush", "changelog"),
    ("metadata", "group"),
    ("send offsets", "group"),
    ("commit", "transactions"),
    ("committed", "transactions"),
    ("apply", "group"),
]
MATRIX = [
    (protocol, step, role, fault)
    for protocol in ("classic", "consumer")
    for step, role in STEPS
    for fault in ("kill", "pause")
]
SHORT = {
    (("classic", "consumer")[place % 2], step, role, ("kill", "kill", "pause", "pause")[place % 4])
    for place, (step, role) in enumerate(STEPS)
}
"""One for each step; protocols and faults in turn."""
COORDINATOR_PARTITIONS = 4
"""Of `__consumer_offsets` and `__transaction_state`, on an embedded broker."""
PAUSE_S = 12.0
"""More than the brokers' session time-out, so that leadership moves."""


@pytest.fixture(scope="module")
def three() -> Iterator[KafkaCluster]:
    with KafkaCluster(3, settings={"min.insync.replicas": 2}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def numbers(three: KafkaCluster) -> Numbers:
    return publish(three.bootstrap_servers)


@pytest.fixture
def cast(three: KafkaCluster, numbers: Numbers, tmp_path: Path) -> Iterator[Cast]:
    until(lambda: is_in_sync(three, 3), 120)
    made = Cast(KafkaUnderTest(three.bootstrap_servers, three), numbers.topic, len(numbers.last), tmp_path)
    yield made
    made.close()


def topics_of(cluster: KafkaCluster) -> Any:
    return AdminClient({"bootstrap.servers": cluster.bootstrap_servers}).list_topics(timeout=20).topics


def is_in_sync(cluster: KafkaCluster, replicas: int) -> bool:
    """Whether so many replicas of every partition are."""
    return all(len(p.isrs) >= replicas for topic in topics_of(cluster).values() for p in topic.partitions.values())


def victim_of(cluster: KafkaCluster, cast: Cast, role: Role) -> int:
    """Its broker's id."""
    there = topics_of(cluster)
    match role:
        case "transactions":
            number = java_hash(f"{cast.pipeline}.a.0") % COORDINATOR_PARTITIONS
            return int(there["__transaction_state"].partitions[number].leader)
        case "group":
            number = java_hash(cast.pipeline) % COORDINATOR_PARTITIONS
            return int(there["__consumer_offsets"].partitions[number].leader)
        case "changelog":
            number = next(p for p, (owner, _) in enumerate(cast.owners()) if owner == "a")
            return int(there[cast.topics.changelog].partitions[number].leader)


def until_it_holds_at(cast: Cast, step: str, protocol: str) -> None:
    """Two workers, of which one waits at a step of a commit in the middle of its work."""
    # Small transactions, so that there is much left to do.
    cast.options = ("--session-timeout-ms", "6000", "--max-batch-records", "10", "--commit-interval-ms", "1")
    cast.options += ("--protocol", protocol)
    cast.join("a", "--step", step, "--nth", "6", "--action", "hold")
    cast.until_it_holds("a")
    cast.join("b")


def finish(three: KafkaCluster, cast: Cast, numbers: Numbers) -> None:
    until(lambda: is_in_sync(three, 3), 120)
    cast.finish(numbers, timeout_s=180)


@pytest.mark.parametrize(
    ("protocol", "step", "role", "fault"),
    [
        pytest.param(*case, marks=() if case in SHORT else pytest.mark.full, id="-".join(case).replace(" ", "-"))
        for case in MATRIX
    ],
)
def test_a_broker_that_fails_during_a_commit_changes_nothing(
    three: KafkaCluster, numbers: Numbers, cast: Cast, protocol: str, step: str, role: Role, fault: str
) -> None:
    until_it_holds_at(cast, step, protocol)
    broker = three.brokers[victim_of(three, cast, role) - 1]
    if fault == "kill":
        broker.kill()
        cast.release("a")
        until(lambda: all(now >= end for now, end in zip(cast.offsets(), numbers.last, strict=True)), 180)
        broker.restart()
    else:
        broker.stop()
        cast.release("a")
        threading.Event().wait(PAUSE_S)
        broker.cont()
    finish(three, cast, numbers)


@pytest.mark.full
@pytest.mark.parametrize(("step", "role"), [("flush", "changelog"), ("commit", "transactions")])
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_brokers_of_three_that_fail_during_a_commit_stop_everything_and_change_nothing(
    three: KafkaCluster, numbers: Numbers, cast: Cast, protocol: str, step: str, role: Role
) -> None:
    """Below min.insync.replicas, and without a majority of controllers, nothing is acknowledged until one is back."""
    until_it_holds_at(cast, step, protocol)
    first = victim_of(three, cast, role)
    second = first % 3 + 1
    for number in (first, second):
        three.brokers[number - 1].kill()
    cast.release("a")
    threading.Event().wait(PAUSE_S)
    for number in (first, second):
        three.brokers[number - 1].restart()
    finish(three, cast, numbers)
