"""Pipelines that are deployed one after the other on the same input, and what is looked at afterwards."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from confluent_kafka import Producer

import penstock as ps
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.testing.history.notes import COMMIT_RECORD, digest
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import group_offsets, read

PARTITIONS = 2
KEYS = 5


@dataclass(frozen=True, slots=True)
class Names:
    """The topics of one test's pipeline."""

    pipeline: str

    @property
    def numbers(self) -> str:
        return f"{self.pipeline}-numbers"

    @property
    def labels(self) -> str:
        return f"{self.pipeline}-labels"

    @property
    def other_labels(self) -> str:
        return f"{self.pipeline}-other-labels"

    @property
    def results(self) -> str:
        return f"{self.pipeline}-results"

    def changelog(self, group: str = "numbers") -> str:
        return f"{self.pipeline}.{group}.changelog"

    @property
    def topology(self) -> str:
        return f"{self.pipeline}.topology"


Variant = Callable[[Names], ps.Pipeline]


def summing(store: str = "sum", source: str = "numbers", *, also_filters: bool = False) -> Variant:
    """A sum per key; a filter that keeps everything changes nothing but the topology."""

    def build(names: Names) -> ps.Pipeline:
        made = ps.Pipeline(names.pipeline)
        numbers = made.stream(ps.Topic(names.numbers, key=str, value=str), name=source)
        if also_filters:
            numbers = numbers.filter(bool, name="not-empty")
        sums = numbers.map(int, name="parse").aggregate(int, int.__add__, name=store).to_stream()
        sums.map(str, name="show").to(ps.Topic(names.results, key=str, value=str, partitions=PARTITIONS))
        return made

    return build


def upgraded(names: Names) -> ps.Pipeline:
    """The same sums, in texts: another type of value, with the next version."""
    made = ps.Pipeline(names.pipeline)
    numbers = made.stream(ps.Topic(names.numbers, key=str, value=str), name="numbers").map(int, name="parse")
    sums = numbers.aggregate(
        str,
        lambda total, number: str(int(total or 0) + number),
        name="sum",
        version=2,
        upgrade=lambda _, older: str(older),
    ).to_stream()
    sums.to(ps.Topic(names.results, key=str, value=str, partitions=PARTITIONS))
    return made


def passing(names: Names) -> ps.Pipeline:
    """No state at all."""
    made = ps.Pipeline(names.pipeline)
    numbers = made.stream(ps.Topic(names.numbers, key=str, value=str), name="numbers")
    numbers.to(ps.Topic(names.results, key=str, value=str, partitions=PARTITIONS))
    return made


def labelling(topic: Callable[[Names], str], also: str | None = None) -> Variant:
    """Each number with its key's label, out of a table; and perhaps a sum beside it."""

    def build(names: Names) -> ps.Pipeline:
        made = ps.Pipeline(names.pipeline)
        config = {"cleanup.policy": "compact"}
        labels = made.table(ps.Topic(topic(names), key=str, value=str, config=config, tombstones=True), name="labels")
        numbers = made.stream(ps.Topic(names.numbers, key=str, value=str), name="numbers")
        numbers.join(labels, lambda number, label: f"{label}-{number}", name="label").to(
            ps.Topic(names.results, key=str, value=str, partitions=PARTITIONS)
        )
        if also is not None:
            numbers.map(int, name="parse").aggregate(int, int.__add__, name=also)
        return made

    return build


VARIANTS: Mapping[str, Variant] = {"sum": summing("sum"), "total": summing("total")}
"""For programs that are told by name what to run."""


def create(kafka: KafkaUnderTest, *topics: str) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create(
        [
            TopicSettings(topic, PARTITIONS, config={"cleanup.policy": "compact"} if "labels" in topic else {})
            for topic in topics
        ]
    )


def publish(kafka: KafkaUnderTest, topic: str, values: Iterable[tuple[str, str]]) -> None:
    """Keys as Java partitions them."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
    for key, value in values:
        producer.produce(topic, value.encode(), key.encode())
    producer.flush(30)


def numbers(start: int, stop: int) -> list[tuple[str, str]]:
    return [(f"key-{n % KEYS}", str(n)) for n in range(start, stop)]


def sums(start: int, stop: int) -> dict[str, list[str]]:
    """{key: the sums that a pipeline which begins at `start` writes}."""
    totals: Counter[str] = Counter()
    found: dict[str, list[str]] = defaultdict(list)
    for n in range(start, stop):
        totals[f"key-{n % KEYS}"] += n
        found[f"key-{n % KEYS}"].append(str(totals[f"key-{n % KEYS}"]))
    return dict(found)


def surroundings(
    kafka: KafkaUnderTest, state: Path, *, accept: bool = False, instance: str = "0"
) -> WorkerSurroundings:
    state.mkdir(exist_ok=True)
    return WorkerSurroundings(
        connection=Connection(kafka.bootstrap_servers),
        registry=None,
        state_directory=state,
        instance=instance,
        accept_state_loss=accept,
        transaction_timeout_ms=10_000,
        transaction_budget_ms=7_500,
        consumer_options={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500},
        limits=WorkerLimits(commit_interval_s=0.02),
    )


def run(kafka: KafkaUnderTest, names: Names, variant: Variant, state: Path, *, accept: bool = False) -> None:
    """A worker of its own, until everything that is there is dealt with."""
    with opened(variant(names).topology(), surroundings(kafka, state, accept=accept), WorkerHooks()) as worker:
        until_done(kafka, worker)
        worker.close()


def until_done(kafka: KafkaUnderTest, worker: Worker, tasks: int = PARTITIONS) -> None:
    admin = Admin(Connection(kafka.bootstrap_servers))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        worker.step()
        positions = {p: o for task in worker.tasks.values() for p, o in task.committed.next_offsets.items()}
        if worker.is_idle and len(worker.tasks) == tasks:
            ends = admin.end_offsets(positions, "read_committed")
            if all(positions[p] >= end for p, end in ends.items()):
                return
    where = {str(task.id): (task.status, task.committed, len(task.buffer)) for task in worker.tasks.values()}
    raise AssertionError(f"the worker does not come to an end: {where}")


def results(kafka: KafkaUnderTest, names: Names) -> dict[str, list[str]]:
    """{key: committed results in their order}."""
    found: dict[str, list[str]] = defaultdict(list)
    for records in read(kafka.bootstrap_servers, names.results).values():
        for record in records:
            found[(record.key or b"").decode()].append((record.value or b"").decode())
    return dict(found)


def state(kafka: KafkaUnderTest, names: Names, group: str = "numbers") -> dict[bytes, bytes]:
    """What the changelog adds up to; its digest is compared at every commit record on the way, by code of our own."""
    whole: dict[bytes, bytes] = {}
    for records in read(kafka.bootstrap_servers, names.changelog(group)).values():
        own: dict[bytes, bytes] = {}
        for record in records:
            if record.key == COMMIT_RECORD:
                assert msgspec.msgpack.decode(record.value or b"")["digest"] == digest(own), record.offset
            elif record.value is None:
                own.pop(record.key or b"", None)
            else:
                own[record.key or b""] = record.value
        assert not records or records[-1].key == COMMIT_RECORD
        whole |= own
    return whole


def stores(entries: Mapping[bytes, bytes]) -> dict[str, int]:
    """{store: its number of keys}."""
    return dict(Counter(key[1 : key[0] + 1].decode() for key in entries))


def positions(kafka: KafkaUnderTest, names: Names, topic: str) -> list[int]:
    return [o.offset for o in group_offsets(kafka.bootstrap_servers, names.pipeline, topic, range(PARTITIONS))]


def topics(kafka: KafkaUnderTest, names: Names) -> set[str]:
    return {name for name in Admin(Connection(kafka.bootstrap_servers)).topics() if names.pipeline in name}
