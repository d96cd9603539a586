"""What a worker's page says of its Kafka clients, by the documents of the real librdkafka."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import Producer

from penstock.clock import SystemClock
from penstock.config import load
from penstock.dsl.pipeline import Pipeline
from penstock.kafka.client import Connection
from penstock.monitoring import client_catalogue as catalogue
from penstock.monitoring.catalogue import DLQ_BACKLOG
from penstock.monitoring.scrape import Scrape, read
from penstock.monitoring.whereabouts import found
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.schemas.topic import Topic
from penstock.supervisor.observed import observed
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until

pytestmark = pytest.mark.broker

ROWS = 200


def copied(name: str) -> Pipeline:
    made = Pipeline(name)
    made.stream(Topic(f"{name}-in", key=str, value=str)).to(Topic(f"{name}-out", key=str, value=str, partitions=1))
    return made


def test_the_clients_of_a_worker_tell_of_themselves_over_the_lives_of_its_producers(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    name, topology = topic_prefix, copied(topic_prefix).topology()
    create(kafka.bootstrap_servers, f"{name}-in", 1)
    publish(kafka.bootstrap_servers, f"{name}-in", [Row(b"k", b"%d" % n) for n in range(ROWS)])
    servers = f'[kafka]\nbootstrap_servers = "{kafka.bootstrap_servers}"\n'
    (tmp_path / "penstock.toml").write_text(f'[project]\nname = "statistics"\n{servers}')
    # Ten times a second instead of every five seconds; its way through the configuration is the user's.
    connection = Connection(kafka.bootstrap_servers, client={"statistics.interval.ms": 100})
    around = WorkerSurroundings(connection, None, tmp_path / "state")
    writer = around.writer(topology)
    with (
        observed(load(tmp_path), name, writer, tmp_path / "state", SystemClock(), 0) as seen,
        opened(topology, seen.surroundings(around, writer), seen.hooks) as worker,
    ):
        seen.watch(worker)
        (where,) = found(tmp_path / "state")

        def scrape() -> Scrape:
            with urllib.request.urlopen(f"http://{where.address}/metrics", timeout=10) as answer:
                return read(answer.read().decode(), 0.0)

        step_until(worker, lambda: has_committed(worker, {(f"{name}-in", 0): ROWS}))
        # It is that of a window of a tenth of a second, in which there may have been no request: then it is 0.
        step_until(
            worker, lambda: sum(map(bool, scrape().numbers(catalogue.BROKER_RTT))) == len(catalogue.CLIENT_KINDS)
        )
        step_until(worker, lambda: scrape().numbers(catalogue.QUEUE_MESSAGES) == [0])
        told = scrape()
        assert told.numbers(catalogue.QUEUE_LIMIT) == [200_000], "as `kafka/producer.py` has it"
        assert all(0 <= rtt_s < 30 for rtt_s in told.numbers(catalogue.BROKER_RTT)), "microseconds, told in seconds"
        assert told.total(catalogue.THROTTLE) == 0, "there are no quotas"
        assert told.total(catalogue.EPOCHS) == 1
        step_until(worker, lambda: scrape().numbers(DLQ_BACKLOG, dlq_topic=f"dlq.{name}.{name}-in") == [0])
        worker._session.open()
        rows = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})

        def has_told_of_another() -> bool:
            """A producer is asked while there is something to write."""
            rows.produce(f"{name}-in", b"1", b"k")
            rows.poll(0)
            return scrape().total(catalogue.EPOCHS) == 2

        step_until(worker, has_told_of_another)
        rows.flush(30)
