"""Where too much fails a task pauses, tries a few records, and goes on when these go well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError
from penstock.monitoring.health import Health
from penstock.monitoring.worker_metrics import Place, WorkerMetrics
from penstock.runtime.breaker_state import BreakerState
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskStatus
from penstock.schemas.topic import Topic
from penstock.topology.policy import CircuitBreaker, Retry
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster, Running, running

A, B = ("in", 0), ("in", 1)
OUT = Topic("out", key=str, value=str)
MINUTE = timedelta(minutes=1)


def cluster(bad: Callable[[int], bool], rows: int = 100, partitions: int = 1) -> Cluster:
    """Only the first partition has bad ones."""
    return Cluster(
        {
            ("in", p): [(n, b"k", b"bad" if p == 0 and bad(n) else b"%d" % n, n) for n in range(rows)]
            for p in range(partitions)
        }
    )


def parsing(breaker: CircuitBreaker | None, heal: Callable[[], bool] = lambda: False) -> Pipeline:
    def parse(text: str) -> str:
        return text if heal() else str(int(text))

    made = Pipeline("p", on_error="dead_letter", breaker=breaker)
    made.stream(Topic("in", key=str, value=str)).map(parse, name="parse").to(OUT)
    return made


def dead(log: Cluster) -> int:
    return len(log.values("dlq.in"))


def steps(run: Running, count: int, tick_s: float = 0.1) -> None:
    for _ in range(count):
        run.worker.step()
        run.clock.now_s += tick_s


LIMITS = WorkerLimits(max_batch_records=10)


def test_it_opens_at_its_share_of_dead_letters_and_the_others_go_on() -> None:
    log = cluster(lambda _: True, partitions=2)
    run = running(log, parsing(CircuitBreaker(least=20, pause=MINUTE)), LIMITS)
    steps(run, 60)
    assert dead(log) == log.position_of(A) == 20, "what was set aside is committed, and nothing more is"
    assert {task.id.partition: task.status for task in run.worker.tasks.values()} == {
        0: TaskStatus.WAITING,
        1: TaskStatus.RUNNING,
    }
    assert log.position_of(B) == 100
    assert not run.worker.is_idle


def test_parked_records_that_are_given_up_open_it_too_and_are_left_alone_while_it_is_open() -> None:
    """Else a flaky service that is gone for good turns all that is parked into dead letters, at once."""
    log = Cluster({A: [(n, b"k%d" % n, b"bad", n) for n in range(40)]})
    made = Pipeline("p", breaker=CircuitBreaker(consecutive=5, pause=MINUTE, probe=2))
    policy = Retry(keep="key", attempts=2, first=timedelta(seconds=1), jitter=0)
    made.stream(Topic("in", key=str, value=str)).map(int, name="parse", on_error=policy).map(str, name="show").to(OUT)
    run = running(log, made, LIMITS)
    steps(run, 20)
    assert (dead(log), log.position_of(A)) == (5, 40), "all were parked, and five have failed for good"
    (task,) = run.worker.tasks.values()
    assert (task.status, task.breaker) == (TaskStatus.WAITING, BreakerState.OPEN)
    steps(run, 300, tick_s=0.1)
    assert dead(log) == 5
    steps(run, 400, tick_s=0.1)
    assert dead(log) == 6, "one is tried, and fails: it opens again"
    assert task.breaker is BreakerState.OPEN


def test_its_state_is_told_and_a_worker_with_an_open_one_is_not_ready() -> None:
    log, is_healed = cluster(lambda _: True, rows=60), [False]
    seen: list[WorkerMetrics] = []

    def counting(clock: ManualClock) -> WorkerMetrics:
        seen.append(WorkerMetrics(Place("p", "kafka", "1", "", "2", None, 30.0), clock))
        return seen[0]

    breaker = CircuitBreaker(least=20, pause=timedelta(seconds=5), probe=3)
    run = running(log, parsing(breaker, lambda: is_healed[0]), LIMITS, told=counting)
    seen[0].watch(run.worker)
    seen[0].on_join("p", {"in": 1}, 120.0)  # as `opened` does
    health = Health(seen[0], run.clock)
    states: list[str] = []
    ready: list[bool] = []
    for _ in range(120):
        is_healed[0] = (log.position_of(A) or 0) >= 26
        run.worker.step()
        run.clock.now_s += 0.5
        for task in run.worker.tasks.values():
            states += [task.breaker.value] if [task.breaker.value] != states[-1:] else []
            ready += [health.ready().is_good] if [health.ready().is_good] != ready[-1:] else []
    # Each failed probe opens it again; the first good one closes it.
    assert states == ["closed", *("open", "half open") * 3, "closed"]
    assert ready == [False, True, *(False, True) * 3]  # at first its partition has no task yet
    assert log.position_of(A) == 60


def test_below_its_share_it_never_does() -> None:
    log = cluster(lambda n: n % 10 < 4)
    run = running(log, parsing(CircuitBreaker(least=20)), LIMITS)
    run.until_idle()
    assert (dead(log), log.position_of(A)) == (40, 100)


def test_without_one_everything_becomes_a_dead_letter() -> None:
    log = cluster(lambda _: True)
    running(log, parsing(None), LIMITS).until_idle()
    assert dead(log) == 100


def test_it_opens_at_so_many_in_a_row_across_batches() -> None:
    log = cluster(lambda n: 15 <= n < 40)
    run = running(log, parsing(CircuitBreaker(ratio=1, consecutive=7, pause=MINUTE)), LIMITS)
    steps(run, 60)
    assert log.position_of(A) == 30
    log = cluster(lambda n: n % 7 > 0)
    run = running(log, parsing(CircuitBreaker(ratio=1, consecutive=7)), LIMITS)
    run.until_idle()
    assert log.position_of(A) == 100


def test_behind_the_pause_a_few_are_tried_and_each_failure_makes_it_longer() -> None:
    log = cluster(lambda _: True)
    run = running(log, parsing(CircuitBreaker(least=20, pause=MINUTE, probe=3)), LIMITS)
    positions: list[tuple[int, float]] = []
    for _ in range(1_100):
        run.worker.step()
        run.clock.now_s += 1
        found = log.position_of(A) or 0
        if found >= 20 and (not positions or positions[-1][0] != found):
            positions.append((found, run.clock.now_s))
    assert [position for position, _ in positions] == [20, 23, 26, 29, 32]
    pauses = [later - earlier for (_, earlier), (_, later) in pairwise(positions)]
    assert pauses == pytest.approx([60, 120, 240, 480], abs=3)


def test_when_the_probe_goes_well_it_works_as_before() -> None:
    log, is_healed = cluster(lambda _: True), [False]
    run = running(log, parsing(CircuitBreaker(least=20, pause=MINUTE, probe=3), lambda: is_healed[0]), LIMITS)
    steps(run, 60)
    is_healed[0] = True
    run.until_idle()
    assert (dead(log), len(log.values("out")), log.position_of(A)) == (20, 80, 100)


@pytest.mark.parametrize(
    "wrong", [{"ratio": 0}, {"ratio": 1.1}, {"least": 0}, {"consecutive": 0}, {"probe": 0}, {"pause": timedelta(0)}]
)
def test_numbers_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="CircuitBreaker"):
        CircuitBreaker(**wrong)
