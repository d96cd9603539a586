"""Without transactions nothing is lost, whatever fails between writing and committing; what is done again is double."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError, OperatorMustDecide, TransactionAborted
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import group_offsets, read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

ROWS = 120


@pytest.fixture
def source(kafka: KafkaUnderTest, topic_prefix: str) -> str:
    """A topic of one partition with the numbers from 0 on."""
    name = f"{topic_prefix}-in"
    create(kafka.bootstrap_servers, name)
    publish(kafka.bootstrap_servers, name, [Row(b"k", b"%d" % n) for n in range(ROWS)])
    return name


def doubled(prefix: str, source: str, *, on_error: str = "fail", broken: int | None = None) -> Pipeline:
    """Writes twice each number."""

    def twice(number: int) -> str:
        if number == broken:
            raise ValueError("broken")
        return str(2 * number)

    made = Pipeline(prefix, on_error="dead_letter" if on_error == "dead_letter" else "fail")
    made.stream(Topic(source, key=str, value=str)).map(int, name="parse").map(twice, name="twice").to(
        Topic(f"{prefix}-out", key=str, value=str, partitions=1)
    )
    return made


def numbers(kafka: KafkaUnderTest, topic: str) -> list[int]:
    """What is visible, to a reader of whatever kind."""
    (records,) = read(kafka.bootstrap_servers, topic, "read_uncommitted").values()
    return [int(record.value or b"") for record in records]


def committed(kafka: KafkaUnderTest, group: str, source: str) -> int:
    return group_offsets(kafka.bootstrap_servers, group, source, [0])[0].offset


class Fails(WorkerHooks):
    """Fails at the nth time of a step: as a crash does, or as a discarded transaction does."""

    def __init__(self, step: str, nth: int, error: type[BaseException]) -> None:
        self.step, self.left, self.error = step, nth, error

    def on_step(self, step: str) -> None:
        if step == self.step:
            self.left -= 1
            if self.left == 0:
                raise self.error("failpoint")


@pytest.mark.parametrize(
    ("step", "error"), [("produce", MemoryError), ("send offsets", MemoryError), ("commit", TransactionAborted)]
)
def test_a_failure_loses_nothing(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path, step: str, error: type[BaseException]
) -> None:
    fail_and_go_on(kafka, topic_prefix, source, tmp_path, Fails(step, 4, error))


@pytest.mark.full
@pytest.mark.parametrize("error", [MemoryError, TransactionAborted])
@pytest.mark.parametrize(
    "step", ["process", "produce", "flush", "metadata", "send offsets", "commit", "committed", "apply"]
)
def test_a_failure_at_any_step_loses_nothing(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path, step: str, error: type[BaseException]
) -> None:
    fail_and_go_on(kafka, topic_prefix, source, tmp_path, Fails(step, 4, error))


def fail_and_go_on(kafka: KafkaUnderTest, prefix: str, source: str, state: Path, hooks: Fails) -> None:
    """The first time that each number is seen is in order, and only what was done again is there twice."""
    pipeline = doubled(prefix, source)
    limits = WorkerLimits(commit_interval_s=0.0, max_batch_records=10)
    end = {(source, 0): ROWS}
    try:
        with working(kafka, pipeline, state, limits=limits, hooks=hooks, guarantee="at_least_once") as worker:
            step_until(worker, lambda: has_committed(worker, end))
            assert hooks.error is TransactionAborted, "a crash was to happen"
    except MemoryError:
        with working(kafka, pipeline, state, limits=limits, guarantee="at_least_once") as worker:
            step_until(worker, lambda: has_committed(worker, end))
    assert hooks.left <= 0
    seen = numbers(kafka, f"{prefix}-out")
    assert list(dict.fromkeys(seen)) == [2 * n for n in range(ROWS)]
    assert len(seen) <= ROWS + 20, "no more than what was in hand is done again"
    assert committed(kafka, prefix, source) == ROWS


def test_what_the_broker_does_not_acknowledge_is_not_committed(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path
) -> None:
    """The broker stands still with records on their way to it: the work is done again, and no offset has moved."""
    if kafka.cluster is None:
        pytest.skip("a cluster elsewhere cannot be made to stand still")
    (broker,) = kafka.cluster.brokers
    aborts: list[Exception] = []

    class Seen(WorkerHooks):
        def on_abort(self, error: Exception) -> None:
            aborts.append(error)

    limits = WorkerLimits(commit_interval_s=1.0, max_batch_records=10)
    with working(
        kafka,
        doubled(topic_prefix, source),
        tmp_path,
        limits=limits,
        hooks=Seen(),
        guarantee="at_least_once",
        timeout_ms=2_000,
    ) as worker:
        step_until(worker, lambda: any(task.is_touched for task in worker.tasks.values()))
        broker.stop()
        try:
            step_until(worker, lambda: bool(aborts))
        finally:
            broker.cont()
        assert "flush" in str(aborts[0])
        assert committed(kafka, topic_prefix, source) == 0, "the claim, and nothing else"
        step_until(worker, lambda: has_committed(worker, {(source, 0): ROWS}))
    assert set(numbers(kafka, f"{topic_prefix}-out")) == {2 * n for n in range(ROWS)}


def test_a_failed_record_is_never_acknowledged(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path
) -> None:
    """The group stands in front of it, with all before it written; a mended pipeline goes on with it."""
    with (
        pytest.raises(OperatorMustDecide, match=rf"{source}\[0\]@77"),
        working(kafka, doubled(topic_prefix, source, broken=77), tmp_path, guarantee="at_least_once") as worker,
    ):
        step_until(worker, lambda: False)
    assert committed(kafka, topic_prefix, source) == 77
    assert numbers(kafka, f"{topic_prefix}-out") == [2 * n for n in range(77)]
    with working(kafka, doubled(topic_prefix, source), tmp_path, guarantee="at_least_once") as worker:
        step_until(worker, lambda: has_committed(worker, {(source, 0): ROWS}))
    assert numbers(kafka, f"{topic_prefix}-out") == [2 * n for n in range(ROWS)]


@pytest.mark.parametrize("step", ["flush", "send offsets", "commit"])
def test_a_dead_letter_is_not_lost(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path, step: str
) -> None:
    pipeline = doubled(topic_prefix, source, on_error="dead_letter", broken=3)
    hooks = Fails(step, 2, MemoryError)  # the first is the claim
    with (
        pytest.raises(MemoryError),
        working(kafka, pipeline, tmp_path, hooks=hooks, guarantee="at_least_once") as worker,
    ):
        step_until(worker, lambda: False)
    with working(kafka, pipeline, tmp_path, guarantee="at_least_once") as worker:
        step_until(worker, lambda: has_committed(worker, {(source, 0): ROWS}))
    (dead,) = read(kafka.bootstrap_servers, f"dlq.{topic_prefix}.{source}").values()
    assert {record.value for record in dead} == {b"3"}
    assert 6 not in numbers(kafka, f"{topic_prefix}-out")


def test_a_worker_that_the_group_has_given_up_moves_no_offset(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path
) -> None:
    """It slept on work in hand, another one has done all of it; what the sleeper then writes is doubled, no more."""
    pipeline = doubled(topic_prefix, source)
    options = {"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300, "max.poll.interval.ms": 1_500}
    limits = WorkerLimits(commit_interval_s=600.0, max_batch_records=10)
    end = {(source, 0): ROWS}

    with working(
        kafka, pipeline, tmp_path, limits=limits, options=options, guarantee="at_least_once", timeout_ms=900_000
    ) as sleeper:
        step_until(sleeper, lambda: any(task.is_touched for task in sleeper.tasks.values()))
        with working(kafka, pipeline, tmp_path, options=options, instance="1", guarantee="at_least_once") as other:
            step_until(other, lambda: has_committed(other, end))
            publish(kafka.bootstrap_servers, source, [Row(b"k", b"%d" % ROWS)])
            step_until(other, lambda: has_committed(other, {(source, 0): ROWS + 1}))
            sleeper.close()  # it tries to commit what it has in hand
            assert committed(kafka, topic_prefix, source) == ROWS + 1
    assert list(dict.fromkeys(sorted(numbers(kafka, f"{topic_prefix}-out")))) == [2 * n for n in range(ROWS + 1)]


def test_records_are_visible_before_anything_is_committed(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path
) -> None:
    """That is what it is for."""
    limits = WorkerLimits(commit_interval_s=600.0)
    with working(
        kafka,
        doubled(topic_prefix, source),
        tmp_path,
        limits=limits,
        guarantee="at_least_once",
        timeout_ms=900_000,
    ) as worker:
        step_until(worker, lambda: numbers(kafka, f"{topic_prefix}-out") == [2 * n for n in range(ROWS)])
        assert committed(kafka, topic_prefix, source) == 0


def test_a_pipeline_can_change_its_guarantee(
    kafka: KafkaUnderTest, topic_prefix: str, source: str, tmp_path: Path
) -> None:
    """Both ways, each going on where the other ended."""
    pipeline = doubled(topic_prefix, source)
    for turn, guarantee in enumerate(("exactly_once", "at_least_once", "exactly_once")):
        if turn:
            publish(kafka.bootstrap_servers, source, [Row(b"k", b"%d" % (ROWS + turn - 1))])
        with working(
            kafka, pipeline, tmp_path, guarantee="at_least_once" if guarantee == "at_least_once" else "exactly_once"
        ) as worker:
            # The markers of transactions take offsets in the output only.
            step_until(worker, lambda end=ROWS + turn: has_committed(worker, {(source, 0): end}))  # type: ignore[misc]
            worker.close()
    assert numbers(kafka, f"{topic_prefix}-out") == [2 * n for n in range(ROWS + 2)]


def test_a_pipeline_with_state_is_refused(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    pipeline = Pipeline(topic_prefix)
    pipeline.stream(Topic("nowhere", key=str, value=str)).map(int, name="parse").aggregate(
        int, lambda total, number: total + number, name="sum"
    )
    with (
        pytest.raises(ConfigurationError, match=r"keeps state \('sum'\).*exactly_once"),
        working(kafka, pipeline, tmp_path, guarantee="at_least_once"),
    ):
        pass
