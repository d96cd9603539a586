"""The lag of a group on five thousand partitions of a real broker: within its cycle, in memory that does not grow."""

from __future__ import annotations

import gc
import logging
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.clock import SystemClock
from penstock.embedded import KafkaCluster
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.survey import Survey
from penstock.monitoring.exposition import render
from penstock.monitoring.lag.collector import families
from penstock.monitoring.lag.observer import Observer, ObserverRules
from penstock.monitoring.lag.standing import WINDOW

pytestmark = [pytest.mark.broker, pytest.mark.full, pytest.mark.timeout(900)]

LOGGER = logging.getLogger(__name__)
TOPICS, EACH = 10, 500
GROUP = "readers"
CYCLE_S = 15.0
WARM_CYCLES, CYCLES, TOOTH = WINDOW + 2, 16, 6
"""Of each partition the last `WINDOW` cycles are remembered: before these it is no leak that there are more of them.

A page that is made takes ten megabytes for a while: of `TOOTH` cycles in a row the least is compared.
"""
MAY_TAKE_MB, MAY_GROW_MB = 100.0, 8.0


def resident_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 2**20


@pytest.fixture
def servers() -> Iterator[str]:
    """A broker for these partitions alone: other tests would have to look at all of them, too."""
    with KafkaCluster() as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture
def topics(servers: str) -> list[str]:
    """Topics with a record in every partition; the group has committed the beginning of each."""
    names = [f"topic-{number}" for number in range(TOPICS)]
    Admin(Connection(servers), budget_s=300).create([TopicSettings(name, EACH) for name in names])
    producer = Producer({"bootstrap.servers": servers, "queue.buffering.max.messages": 100_000})
    places = [(name, partition) for name in names for partition in range(EACH)]
    for name, partition in places:
        producer.produce(name, b"x", partition=partition)
    assert producer.flush(300) == 0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": GROUP})
    for start in range(0, len(places), 1_000):
        offsets = [TopicPartition(*place, 0) for place in places[start : start + 1_000]]
        consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()
    return names


def test_five_thousand_partitions_are_looked_at_within_a_cycle_and_in_memory_that_does_not_grow(
    servers: str, topics: list[str]
) -> None:
    """The figures are logged: `pytest --log-cli-level=INFO`."""
    with closing(Survey(Connection(servers), "test-survey")) as survey:
        observer = Observer(survey, ObserverRules(groups=re.compile(GROUP)), SystemClock())
        cycle_s: list[float] = []
        scrape_s: list[float] = []
        memory_mb: list[float] = []
        page, before_mb = b"", resident_mb()
        for _ in range(WARM_CYCLES + CYCLES):
            seen = observer.cycle()
            cycle_s.append(seen.duration_s)
            began_s = time.monotonic()
            page = render(families("kafka", seen, seen.at_ms, CYCLE_S))
            scrape_s.append(time.monotonic() - began_s)
            assert {(each.topic, each.partition, each.lag) for each in seen.backlogs} == {
                (name, partition, 1) for name in topics for partition in range(EACH)
            }
            assert all(each.time_lag is not None for each in seen.backlogs)
            memory_mb.append(resident_mb())
    grown_mb = min(memory_mb[-TOOTH:]) - min(memory_mb[WARM_CYCLES:][:TOOTH])
    LOGGER.info(
        "%s partitions: cycles of at most %.2f s, scrapes of %.1f MiB in %.2f s, %.0f MiB, %+.1f MiB over %s cycles",
        TOPICS * EACH,
        max(cycle_s),
        len(page) / 2**20,
        max(scrape_s),
        memory_mb[-1] - before_mb,
        grown_mb,
        CYCLES,
    )
    assert median(cycle_s) < CYCLE_S, "other work on the machine may hold one up, and not most of them"
    assert memory_mb[-1] - before_mb < MAY_TAKE_MB
    assert grown_mb < MAY_GROW_MB
