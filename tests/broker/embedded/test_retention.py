"""A cluster that keeps its data, restarted past a retention check: what was made of old records is all there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from penstock.config import load
from penstock.dsl.pipeline import Pipeline
from penstock.embedded import KafkaCluster
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

ROWS, EVERY = 300, 50
IN_2013_MS = 1_357_000_000_000
KEPT = {"retention.ms": "-1"}
TOPICS = ("p-in", "p-out", "p.p-in.changelog", "dlq.p.p-in")


def pipeline() -> Pipeline:
    """Outputs and dead letters keep the timestamps of their originals."""
    made = Pipeline("p", on_error="dead_letter")
    numbers = made.stream(Topic("p-in", key=str, value=str)).map(int, name="parse")
    total = numbers.aggregate(int, lambda total, n: total + n, name="sum")
    total.to_stream().map(str, name="show").to(Topic("p-out", key=str, value=str, config=KEPT))
    return made


def counts(servers: str) -> dict[str, int]:
    return {topic: sum(map(len, read(servers, topic).values())) for topic in TOPICS}


def a_check_has_passed(servers: str, nth: int) -> None:
    """Wait until a record that is too old is gone: the check goes over all logs, this one is looked at with them."""
    canary = f"canary-{nth}"
    create(servers, canary, retention_ms="1000", message_timestamp_before_max_ms=str(2**63 - 1))
    publish(servers, canary, [Row(b"k", b"old", timestamp_ms=IN_2013_MS)])
    admin = Admin(Connection(servers))
    until(lambda: admin.begin_offsets([(canary, 0)])[canary, 0] == 1, timeout_s=120)


def test_records_of_years_ago_outlive_a_restart_and_retention_checks(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    embedded = load(pytestconfig.rootpath).embedded
    data = tmp_path / "kafka"
    with KafkaCluster(persist=data, java=embedded.java, jars=embedded.jars) as cluster:
        kafka = KafkaUnderTest(cluster.bootstrap_servers, cluster)
        create(kafka.bootstrap_servers, "p-in", retention_ms="-1")
        rows = [
            Row(b"k%d" % (n % 7), b"none" if n % EVERY == 0 else b"%d" % n, timestamp_ms=IN_2013_MS + n)
            for n in range(ROWS)
        ]
        publish(kafka.bootstrap_servers, "p-in", rows)
        with working(kafka, pipeline(), tmp_path / "state") as worker:
            step_until(worker, lambda: has_committed(worker, {("p-in", 0): ROWS}))
            worker.close()
        before = counts(kafka.bootstrap_servers)
        assert (before["p-in"], before["p-out"], before["dlq.p.p-in"]) == (ROWS, ROWS - ROWS // EVERY, ROWS // EVERY)
        assert before["p.p-in.changelog"] > 0
    settings = {"log.retention.check.interval.ms": 300}
    with KafkaCluster(persist=data, settings=settings, java=embedded.java, jars=embedded.jars) as cluster:
        kafka = KafkaUnderTest(cluster.bootstrap_servers, cluster)
        for nth in range(3):
            a_check_has_passed(kafka.bootstrap_servers, nth)
        assert counts(kafka.bootstrap_servers) == before
        publish(kafka.bootstrap_servers, "p-in", [Row(b"k0", b"1", timestamp_ms=int(time.time() * 1000))])
        with working(kafka, pipeline(), tmp_path / "state") as worker:
            step_until(worker, lambda: has_committed(worker, {("p-in", 0): ROWS + 1}))
            worker.close()
        (last,) = read(kafka.bootstrap_servers, "p-out").values()
        assert last[-1].value == b"%d" % (sum(n for n in range(0, ROWS, 7) if n % EVERY) + 1)
