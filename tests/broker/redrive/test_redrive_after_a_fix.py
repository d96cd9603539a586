"""Records that failed, and were redriven after the code was mended, end as if they had never failed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.kafka.client import Connection
from penstock.protocols import TransactionHooks
from penstock.redrive.ledger import Run
from penstock.redrive.opening import Cluster, RedriveSurroundings, new_run_id, opened
from penstock.redrive.original import Route
from penstock.redrive.selection import Selection
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker


def totalling(name: str, *, is_mended: bool) -> Pipeline:
    """Per key the sum of the numbers; before it is mended it does not know prices with a comma."""

    def price(text: str) -> int:
        return int(text.replace(",", "") if is_mended else text)

    made = Pipeline(name, on_error="dead_letter")
    numbers = made.stream(Topic(f"{name}-in", key=str, value=str)).map(price, name="price")
    sums = numbers.aggregate(int, lambda total, number: total + number, name="sum")
    sums.to_stream().map(str, name="text").to(Topic(f"{name}-out", key=str, value=str))
    return made


def redrive(kafka: KafkaUnderTest, name: str, state: Path) -> Run:
    around = RedriveSurroundings(Connection(kafka.bootstrap_servers), project=name, state_directory=state)
    cluster, topic = Cluster(around), f"dlq.{name}.{name}-in"
    run_id = new_run_id(around.clock.now_ms())
    with opened(
        Run(id=run_id, action="redrive", topic=topic),
        around,
        TransactionHooks(),
        cluster=cluster,
        selection=Selection(),
        readable=lambda data: data,
        route=Route(cluster.targets(), run_id, groups=cluster.groups()),
        letters=cluster.letters(topic, Selection()).read,
    ) as run:
        return run.run()


def counting(name: str) -> Pipeline:
    """Another pipeline that reads the same numbers, and had no trouble with them."""
    made = Pipeline(f"{name}-count")
    counts = made.stream(Topic(f"{name}-in", key=str, value=str)).count(name="numbers")
    counts.to_stream().map(str, name="text").to(Topic(f"{name}-counts", key=str, value=str))
    return made


def process(kafka: KafkaUnderTest, name: str, pipeline: Pipeline, state: Path) -> None:
    """Until the end of the input as it is now."""
    ends = {
        (f"{name}-in", partition): records[-1].offset + 1
        for partition, records in read(kafka.bootstrap_servers, f"{name}-in").items()
    }
    with working(kafka, pipeline, state / pipeline.name) as worker:
        step_until(worker, lambda: has_committed(worker, ends))
        worker.close()


def last_of_each(kafka: KafkaUnderTest, topic: str) -> dict[bytes, bytes]:
    found = read(kafka.bootstrap_servers, topic)
    return {record.key or b"": record.value or b"" for records in found.values() for record in records}


@pytest.mark.parametrize("rows", [2_000, pytest.param(50_000, marks=pytest.mark.full)])
def test_state_and_output_end_as_if_nothing_had_failed(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, rows: int
) -> None:
    """A fifth of them fail, are redriven, and count in the end; once more in no other pipeline that reads them."""
    name = topic_prefix
    bootstrap = kafka.bootstrap_servers
    create(bootstrap, f"{name}-in", 2)
    numbers = [(f"key-{n % 14}", 1_000 + n) for n in range(rows)]  # an even number: a key keeps to its partition
    publish(
        bootstrap,
        f"{name}-in",
        [Row(key.encode(), (f"{n:,}" if n % 5 == 0 else str(n)).encode(), n % 2) for key, n in numbers],
    )
    process(kafka, name, totalling(name, is_mended=False), tmp_path)
    process(kafka, name, counting(name), tmp_path)
    failed = sum(map(len, read(bootstrap, f"dlq.{name}.{name}-in").values()))
    assert failed == rows // 5

    done = redrive(kafka, name, tmp_path)
    assert (done.letters, done.targets) == (failed, {f"{name}-in": failed})
    process(kafka, name, totalling(name, is_mended=True), tmp_path)
    process(kafka, name, counting(name), tmp_path)

    totals = {key.decode(): int(text) for key, text in last_of_each(kafka, f"{name}-out").items()}
    expected: Counter[str] = Counter()
    for key, n in numbers:
        expected[key] += n
    assert sum(map(len, read(bootstrap, f"{name}-out").values())) == rows
    assert sum(map(len, read(bootstrap, f"dlq.{name}.{name}-in").values())) == failed
    assert totals == expected
    counts = {key: int(text) for key, text in last_of_each(kafka, f"{name}-counts").items()}
    assert counts == Counter(key.encode() for key, _ in numbers)


def test_what_fails_again_and_again_is_noticed(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """Three redrives without a fix, and the fourth leaves it where it is."""
    name = topic_prefix
    create(kafka.bootstrap_servers, f"{name}-in")
    publish(kafka.bootstrap_servers, f"{name}-in", [Row(b"k", b"1"), Row(b"k", b"1,000")])
    for redriven in range(3):
        process(kafka, name, totalling(name, is_mended=False), tmp_path)
        done = redrive(kafka, name, tmp_path)
        assert (done.letters, done.held) == (1, {}), redriven
    process(kafka, name, totalling(name, is_mended=False), tmp_path)
    done = redrive(kafka, name, tmp_path)
    assert (done.letters, done.held) == (0, {"loop": 1})
