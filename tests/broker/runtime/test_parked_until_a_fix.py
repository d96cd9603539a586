"""Records that were parked until the code was mended end as if they had never failed, where order matters as well."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.worker import Worker
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.topology.policy import Retry
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

KEYS, PARTITIONS = 100, 2


def key_of(number: int) -> str:
    return f"key-{number % KEYS}"


def fails(number: int) -> bool:
    """A fifth of the keys, from their third record on."""
    return number % KEYS % 5 == 0 and number >= 2 * KEYS


def link(chain: str, text: str) -> str:
    """Another one for each order."""
    return hashlib.sha256(f"{chain} {text}".encode()).hexdigest()[:16]


def chaining(name: str, *, is_mended: bool) -> Pipeline:
    def price(text: str) -> str:
        if fails(int(text)) and not is_mended:
            raise ValueError
        return text

    retry = Retry(keep="key", attempts=None, first=timedelta(milliseconds=200), longest=timedelta(seconds=2))
    made = Pipeline(name)
    prices = made.stream(Topic(f"{name}-in", key=str, value=str)).map(price, name="price", on_error=retry)
    chains = prices.aggregate(str, link, name="chain")
    chains.to_stream().to(Topic(f"{name}-out", key=str, value=str))
    return made


def parked(worker: Worker) -> int:
    return sum(task.parked.counts.records for task in worker.tasks.values())


@pytest.mark.parametrize("rows", [2_000, pytest.param(52_000, marks=pytest.mark.full)])
def test_state_and_output_end_as_if_nothing_had_failed(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, rows: int
) -> None:
    """Of those keys all wait, 360 records or 10,360; then a worker comes that runs mended code."""
    name, bootstrap = topic_prefix, kafka.bootstrap_servers
    create(bootstrap, f"{name}-in", PARTITIONS)
    publish(bootstrap, f"{name}-in", [Row(key_of(n).encode(), b"%d" % n, n % PARTITIONS) for n in range(rows)])
    ends = {(f"{name}-in", partition): rows // PARTITIONS for partition in range(PARTITIONS)}
    failed = sum(map(fails, range(rows)))
    with working(kafka, chaining(name, is_mended=False), tmp_path) as worker:
        step_until(worker, partial(has_committed, worker, ends))
        step_until(worker, lambda: parked(worker) == failed)
    assert failed >= 10_000 or rows < 50_000
    assert sum(map(len, read(bootstrap, f"{name}-out").values())) == rows - failed

    with working(kafka, chaining(name, is_mended=True), tmp_path) as worker:
        step_until(worker, lambda: worker.is_idle and len(worker.tasks) == PARTITIONS and not parked(worker))
        worker.close()

    expected: dict[str, list[str]] = {}
    for n in range(rows):
        so_far = expected.setdefault(key_of(n), [])
        so_far.append(link(so_far[-1] if so_far else "", str(n)))
    found: dict[str, list[str]] = {}
    for records in read(bootstrap, f"{name}-out").values():
        for record in records:
            found.setdefault((record.key or b"").decode(), []).append((record.value or b"").decode())
    assert found == expected
    assert not any(read(bootstrap, f"dlq.{name}.{name}-in").values())
