"""A registry whose Kafka is away, or stands still for longer than its session (a laptop that is closed does that)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from penstock.embedded.registry.layout import Key, KeyType, Small
from penstock.embedded.registry.process import require_topic
from penstock.embedded.registry.refusal import Refusal
from penstock.embedded.registry.store import Store
from penstock.errors import PenstockError
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.registry.raw_log import RawLog

pytestmark = pytest.mark.broker


@pytest.fixture
def kafka() -> Iterator[KafkaUnderTest]:
    """A broker of its own: it is stopped for longer than the sessions of what else runs on the shared one."""
    with KafkaCluster() as cluster:
        yield KafkaUnderTest(cluster.bootstrap_servers, cluster)


def answers(url: str) -> bool:
    """Whether it takes requests."""
    try:
        return httpx.get(f"{url}/subjects").status_code == 200
    except httpx.TransportError:
        return False


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def register(url: str, subject: str) -> int:
    answer = httpx.post(f"{url}/subjects/{subject}/versions", json={"schema": '"int"'})
    return int(answer.raise_for_status().json()["id"])


def test_a_registry_whose_kafka_stood_still_serves_again_under_its_address(
    kafka: KafkaUnderTest, new_registry: Callable[[], RegistryServer], log: RawLog
) -> None:
    """Nobody has taken its place, so it takes it again: as a new writer, for whom everything acknowledged counts."""
    assert kafka.cluster is not None
    (broker,) = kafka.cluster.brokers
    registry = new_registry()
    pid, schema_id = registry.pid, register(registry.url, "before")

    broker.stop()
    until(lambda: not answers(registry.url), "it does not notice")
    broker.cont()
    until(lambda: answers(registry.url), f"it does not come back: {registry.last_log_lines()}")

    assert registry.pid == pid
    assert httpx.get(f"{registry.url}/subjects").json() == ["before"]
    assert httpx.get(f"{registry.url}/schemas/ids/{schema_id}").json()["schema"] == '"int"'
    assert register(registry.url, "after") == schema_id
    first, second = (claim.json["writer"] for claim in log.claims())
    assert first != second
    assert "has lost its place as the writer" in registry.last_log_lines()


@pytest.mark.full  # it is waited until everybody's patience for an answer has ended
def test_a_registry_outlives_its_kafka(kafka: KafkaUnderTest, new_registry: Callable[[], RegistryServer]) -> None:
    """Killed, away for longer than anybody waits for an answer, and started again with its data."""
    assert kafka.cluster is not None
    (broker,) = kafka.cluster.brokers
    registry = new_registry()
    pid, schema_id = registry.pid, register(registry.url, "before")

    broker.kill()
    until(lambda: "is down until Kafka is back" in registry.last_log_lines(), "it says nothing")
    assert not answers(registry.url)
    broker.restart()
    until(lambda: answers(registry.url), f"it does not come back: {registry.last_log_lines()}")

    assert registry.pid == pid
    assert register(registry.url, "before") == schema_id


def level(name: str) -> bytes:
    return Small("s", compatibility_level=name).encode()


def test_after_a_write_of_unknown_outcome_the_log_is_claimed_anew(kafka: KafkaUnderTest, log: RawLog) -> None:
    """Whether the record arrives or not, it is before the new claim and counts, or behind it and does not."""
    assert kafka.cluster is not None
    connection = Connection(kafka.bootstrap_servers)
    require_topic(Admin(connection), log.topic)
    ended: list[PenstockError | None] = []
    store = Store(connection, log.topic, timeout_s=4.0, on_end=ended.append)
    key = Key(KeyType.CONFIG, "s")
    try:
        store.take_over()
        with store.writing():
            store.put(key, level("FULL"))
            kafka.cluster.brokers[0].stop()
            wake = threading.Timer(6.0, kafka.cluster.brokers[0].cont)
            wake.start()
            with pytest.raises(Refusal) as caught:
                store.put(key, level("NONE"))
            wake.join()
        assert caught.value.code == 50002
        with store.writing() as contents:
            store.put(Key(KeyType.CONFIG, "t"), level("FORWARD"))
            told = dict(contents.levels)
    finally:
        kafka.cluster.brokers[0].cont()
        store.close()
    first, second = (claim.writer for claim in log.claims()[:2])
    assert first != second
    records = log.read()
    claimed_at = log.claims()[1].offset
    arrived_in_time = any(r.json.get("compatibilityLevel") == "NONE" and r.offset < claimed_at for r in records)
    assert told["s"] == ("NONE" if arrived_in_time else "FULL")
    assert not ended
