"""The driver: what a user's test may do to a pipeline, and what it then sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError, Fenced, OperatorMustDecide, TransactionAborted, UsageError
from penstock.schemas.serdes import int64, int_text
from penstock.schemas.topic import Topic
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.driver import Driver, Run, Step
from penstock.testing.ground import SimulatedGround

NUMBERS = Topic("numbers", key=str, value=int_text)
SUMS = Topic("sums", key=str, value=int64)
NAMES = Topic("names", key=str, value=str, tombstones=True, config={"cleanup.policy": "compact"})
LABELLED = Topic("labelled", key=str, value=str)
BY_PARITY = Topic("by-parity", key=str, value=int64)


def plus(total: int, number: int) -> int:
    return total + number


def sums() -> Pipeline:
    pipeline = Pipeline("summing", on_error="dead_letter")
    pipeline.stream(NUMBERS).aggregate(int, plus, name="sum").to(SUMS)
    return pipeline


def fed(run: Run, count: int = 10, keys: int = 1) -> Run:
    for number in range(count):
        run.feed(NUMBERS, number, key=f"k{number % keys}")
    return run


def cluster_of(run: Run) -> SimulatedCluster:
    assert isinstance(run.ground, SimulatedGround)
    return run.ground.cluster


STEPS: list[Step] = [
    "poll",
    "process",
    "accept",
    "begin",
    "produce",
    "changelog",
    "commit record",
    "flush",
    "metadata",
    "send offsets",
    "commit",
    "committed",
    "apply",
]


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_changes_nothing(driver: Driver, step: Step) -> None:
    run = fed(driver.start(sums()))
    before = run.workers[0]
    run.crash(at=step)
    run.settle()
    assert run.workers[0] is not before
    assert run.values(SUMS) == [0, 1, 3, 6, 10, 15, 21, 28, 36, 45]
    assert run.state("sum") == {"k0": 45}


def test_a_crash_of_now_is_followed_by_a_restart(driver: Driver) -> None:
    run = driver.start(sums())
    run.crash()
    assert not run.workers[0].is_alive
    fed(run).settle()
    assert run.state("sum") == {"k0": 45}


@pytest.mark.parametrize("step", ["process", "flush", "send offsets", "commit"])
def test_a_fence_is_survived(driver: Driver, step: Step) -> None:
    run = fed(driver.start(sums()))
    run.fence(at=step)
    run.settle()
    assert any(isinstance(error, Fenced | TransactionAborted) for error in run.workers[0].hooks.aborts)
    assert run.values(SUMS)[-1] == 45


@pytest.mark.parametrize("step", ["process", "metadata", "commit"])
def test_a_rebalance_is_survived(driver: Driver, step: Step) -> None:
    run = fed(driver.start(sums(), partitions=2, workers=2), keys=4)
    generation = cluster_of(run).groups.group("summing").generation
    run.rebalance(at=step)
    run.settle()
    assert cluster_of(run).groups.group("summing").generation > generation
    assert sum(run.state("sum").values()) == 45


def test_a_request_that_is_sent_twice_costs_a_new_producer(driver: Driver) -> None:
    run = fed(driver.start(sums()))
    run.delay(0.2, at="commit")
    run.settle()
    fed(run).settle()
    assert len(run.workers[0].hooks.rotations) == 1
    assert run.values(SUMS)[-1] == 90


def test_a_step_that_sends_nothing_cannot_be_delayed(driver: Driver) -> None:
    run = driver.start(sums())
    with pytest.raises(UsageError, match="sends nothing"):
        run.delay(1.0, at="process")


def test_a_worker_that_stands_still_is_replaced_and_what_it_had_begun_never_appears(driver: Driver) -> None:
    run = driver.start(sums(), partitions=2, workers=2)
    fed(run, keys=8)
    run.pause(timedelta(seconds=90), at="commit")
    run.settle()
    assert sum(run.state("sum").values()) == 45
    assert sorted(run.values(SUMS)) == sorted([0, 1, 2, 3, 4, 5, 6, 7, 8, 10])


def test_workers_come_and_go(driver: Driver) -> None:
    run = fed(driver.start(sums(), partitions=3), keys=7)
    second = run.join()
    run.settle()
    run.leave(0)
    fed(run, keys=7).settle()
    assert list(run.workers) == [second]
    assert sum(run.state("sum").values()) == 90


def test_time_moves_only_when_it_is_told_to(driver: Driver) -> None:
    run = driver.start(sums())
    before = run.now
    assert run.now == before
    run.advance(timedelta(hours=1))
    assert timedelta(hours=1) <= run.now - before < timedelta(hours=1, seconds=1)


def test_input_that_expires_before_it_was_read_stops_the_task(driver: Driver) -> None:
    """On the cluster in memory; a broker looks at retention every five minutes only."""
    run = fed(driver.start(sums()), 3)
    run.settle()
    run.leave(0)
    run.feed(NUMBERS, 4, key="k0")
    run.advance(timedelta(days=8))
    run.feed(NUMBERS, 5, key="k0")
    run.join()
    with pytest.raises(OperatorMustDecide, match=r"numbers\[0\]@3 to 3 is gone before it was read"):
        run.settle()


def test_what_was_read_may_expire(driver: Driver) -> None:
    run = fed(driver.start(sums()), 3)
    run.settle()
    run.leave(0)
    run.advance(timedelta(days=8))
    run.feed(NUMBERS, 5, key="k0")
    run.join()
    run.settle()
    assert run.state("sum") == {"k0": 8}
    assert [record.offset for record in run.ground.committed(NUMBERS.name)] == [3]


def test_records_have_the_time_that_they_are_given(driver: Driver) -> None:
    run = driver.start(sums())
    half_past = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    run.feed(NUMBERS, 1, key="a", timestamp=half_past)
    run.feed(NUMBERS, 2, key="a", timestamp=5)
    run.settle()
    assert [record.timestamp_ms for record in run.read(SUMS)] == [round(half_past.timestamp() * 1000)] * 2


def test_dead_letters_name_the_original(driver: Driver) -> None:
    run = driver.start(sums())
    run.feed_bytes(NUMBERS, b"none", key=b"a")
    fed(run, 2).settle()
    (letter,) = run.dead_letters(NUMBERS)
    assert (letter.key, letter.value, letter.partition, letter.offset) == (b"a", b"none", 0, 0)
    assert letter.reason == "size"  # the word of `int_text` for what is no number
    assert run.state("sum") == {"k0": 1}


def test_a_table_is_joined_and_its_state_shown(driver: Driver) -> None:
    pipeline = Pipeline("labelling")
    names = pipeline.table(NAMES, name="names")
    pipeline.stream(NUMBERS).join(names, lambda number, name: f"{number} {name}").to(LABELLED)
    run = driver.start(pipeline, partitions=2, workers=2)
    run.feed(NAMES, "Ada", key="a")
    run.feed(NAMES, "Bea", key="b")
    run.feed(NAMES, None, key="b")
    for key in ("a", "b", "c"):
        run.feed(NUMBERS, 7, key=key)
    run.crash(at="flush")
    run.settle()
    assert run.values(LABELLED) == ["7 Ada"]
    assert run.state("names") == {"a": "Ada"}


def test_a_global_table_is_seen_whole(driver: Driver) -> None:
    pipeline = Pipeline("looking-up")
    names = pipeline.global_table(NAMES, name="names")
    named = pipeline.stream(NUMBERS).join(names, lambda number, name: f"{number} {name}", on=lambda _: "a")
    named.to(LABELLED)
    run = driver.start(pipeline, partitions=2)
    run.feed(NAMES, "Ada", key="a")
    run.step()
    run.feed(NUMBERS, 7, key="z")
    run.crash(at="commit")
    run.settle()
    assert run.values(LABELLED) == ["7 Ada"]


def test_records_go_to_the_task_of_another_key(driver: Driver) -> None:
    pipeline = Pipeline("parity")
    numbers = pipeline.stream(NUMBERS).key_by(lambda number: "even" if number % 2 == 0 else "odd", name="by-parity")
    numbers.aggregate(int, plus, name="total").to(BY_PARITY)
    run = fed(driver.start(pipeline, partitions=3, workers=2), keys=5)
    run.crash(at="send offsets", worker=1)
    run.settle()
    assert run.state("total") == {"even": 20, "odd": 25}


def test_the_same_seed_gives_the_same_run_and_another_one_another(tmp_path: Path) -> None:
    def logs(seed: int, folder: str) -> list[object]:
        run = fed(Driver(tmp_path / folder, seed=seed).start(sums(), partitions=2, workers=2), keys=4)
        run.crash(at="commit")
        run.settle()
        cluster = cluster_of(run)
        return [cluster.clock.monotonic_s(), [log.entries for t in cluster.topics.values() for log in t.partitions]]

    assert logs(1, "a") == logs(1, "b")
    assert logs(1, "c") != logs(2, "d")


def test_a_store_that_is_not_there_is_named(driver: Driver) -> None:
    with pytest.raises(ConfigurationError, match="no store 'total'"):
        driver.start(sums()).state("total")
