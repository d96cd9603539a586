"""Keys that fail and recover one after the other on a real broker: each keeps its order, and no other key waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.worker import Worker
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.topology.policy import Retry
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = pytest.mark.broker

KEYS, ROWS = 6, 24
NUMBERS = count()

SCHEDULES: st.SearchStrategy[list[set[str]]] = st.lists(
    st.sets(st.sampled_from([f"k{n}" for n in range(KEYS)]), max_size=4), min_size=2, max_size=6
)
"""The keys that fail, round by round."""


def key_of(number: int) -> str:
    return f"k{number % KEYS}"


def listing(name: str, failing: set[str]) -> Pipeline:
    """Per key the numbers so far, so that order shows; those of some keys fail now."""

    def enrich(text: str) -> str:
        if key_of(int(text)) in failing:
            raise ValueError
        return text

    retry = Retry(
        keep="key", attempts=None, first=timedelta(milliseconds=50), longest=timedelta(milliseconds=200), jitter=0
    )
    made = Pipeline(name)
    numbers = made.stream(Topic(f"{name}-in", key=str, value=str)).map(enrich, name="enrich", on_error=retry)
    lists = numbers.aggregate(str, lambda so_far, number: f"{so_far} {number}".strip(), name="list")
    lists.to_stream().to(Topic(f"{name}-lists", key=str, value=str))
    return made


def lists(kafka: KafkaUnderTest, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {key_of(n): [] for n in range(KEYS)}
    for records in read(kafka.bootstrap_servers, f"{name}-lists").values():
        for record in records:
            found[(record.key or b"").decode()].append((record.value or b"").decode())
    return found


def due(numbers: range) -> Mapping[str, list[str]]:
    """What it comes to if nothing fails."""
    of_key = {key_of(n): [str(m) for m in numbers if key_of(m) == key_of(n)] for n in range(KEYS)}
    return {key: [" ".join(each[: n + 1]) for n in range(len(each))] for key, each in of_key.items()}


def parked_keys(worker: Worker) -> int:
    return sum(task.parked.counts.keys for task in worker.tasks.values())


@example([{f"k{n % KEYS}", f"k{(n + 2) % KEYS}"} for n in range(8)])
@given(SCHEDULES)
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_key_keeps_its_order_and_no_other_key_waits(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, schedule: list[set[str]]
) -> None:
    """In each round other keys fail, while a worker comes and one is dropped with a transaction open."""
    name, bootstrap = f"{topic_prefix}-{next(NUMBERS)}", kafka.bootstrap_servers
    create(bootstrap, f"{name}-in")
    failing: set[str] = set()
    failed: set[str] = set()
    for number, fail_now in enumerate(schedule):
        failing.clear()
        failing.update(fail_now)
        first = number * ROWS
        publish(bootstrap, f"{name}-in", [Row(key_of(n).encode(), b"%d" % n) for n in range(first, first + ROWS)])
        with working(kafka, listing(name, failing), tmp_path / name) as worker:
            step_until(worker, partial(has_committed, worker, {(f"{name}-in", 0): first + ROWS}))
            found, expected = lists(kafka, name), due(range(first + ROWS))
            for key in found.keys() - failing:
                # Those that failed before may still be on their way; those that never did are there.
                assert found[key] == expected[key][: len(found[key])]
                if key not in failed:
                    assert found[key] == expected[key], "it waits for others"
            parked = {key: expected[key][: len(found[key])] for key in failing}
            assert {key: found[key] for key in failing} == parked, "out of order"
            assert all(len(found[key]) <= len(expected[key]) - ROWS // KEYS for key in failing)
        failed |= fail_now
    failing.clear()
    with working(kafka, listing(name, failing), tmp_path / name) as worker:
        step_until(worker, lambda: worker.is_idle and bool(worker.tasks) and not parked_keys(worker))
        worker.close()
    assert lists(kafka, name) == due(range(len(schedule) * ROWS))
    assert not any(read(bootstrap, f"dlq.{name}.{name}-in").values())
