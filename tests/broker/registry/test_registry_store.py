"""The registry's store on a broker that stands still: a write whose outcome is unknown."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from penstock.embedded import KafkaCluster
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
