"""Code that is slow is told while it is at it: which task, which step, which line; by a thread that only looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.record import Record
from penstock.runtime.watchdog import Watchdog
from tests.unit.runtime.in_memory import Cluster, Running, running
from tests.unit.runtime.sums import IN, OUT


class Stuck:
    """User code that enters a function of its own and does not come back until it is let go."""

    def __init__(self) -> None:
        self.has_entered, self.may_go = threading.Event(), threading.Event()

    def wait_for_it(self) -> None:
        self.has_entered.set()
        assert self.may_go.wait(60)

    def enrich(self, text: str) -> str:
        self.wait_for_it()
        return text


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    made = Stuck()
    yield made
    made.may_go.set()


def mapping(stuck: Stuck) -> Pipeline:
    made = Pipeline("p")
    made.stream(IN).map(stuck.enrich, name="look-up").to(OUT)
    return made


def processing(stuck: Stuck) -> Pipeline:
    @processor()
    def enriched(record: Record[str, str], ctx: Context) -> Iterator[Record[str, str]]:
        del ctx
        yield record.with_value(stuck.enrich(record.value))

    made = Pipeline("p")
    made.stream(IN).process(enriched, name="look-up").to(OUT)
    return made


def at_work(pipeline: Pipeline, stuck: Stuck) -> tuple[Running, threading.Thread, Watchdog]:
    """A worker in a thread of its own, in the middle of its first batch."""
    run = running(Cluster({("in", 0): [(n + 3, b"k", b"secret", n) for n in range(5)]}), pipeline)

    def work() -> None:
        while not stuck.may_go.is_set():
            run.worker.step()

    thread = threading.Thread(target=work)
    watchdog = Watchdog(lambda: run.worker.at_work, slow_s=10.0, max_poll_interval_s=120.0, clock=run.clock)
    thread.start()
    assert stuck.has_entered.wait(60)
    return run, thread, watchdog


@pytest.mark.parametrize(("pipeline", "function"), [(mapping, "enrich"), (processing, "enriched")])
def test_it_says_task_step_function_and_line_and_no_payload(
    pipeline: Callable[[Stuck], Pipeline], function: str, stuck: Stuck, caplog: pytest.LogCaptureFixture
) -> None:
    run, thread, watchdog = at_work(pipeline(stuck), stuck)
    run.clock.now_s += 12
    watchdog.look()
    (record,) = [each for each in caplog.records if "at work on" in each.getMessage()]
    told = record.getMessage()
    assert told.startswith(f"task in[0]: operator 'look-up' in {function} (test_watchdog.py:")
    assert "at wait (threading.py:" in told
    assert "at work on 5 records from in[0]@3 on for 12 s; after 120 s without a poll" in told
    assert "secret" not in told
    assert (vars(record)["task"], vars(record)["topic"], vars(record)["offset"]) == ("in[0]", "in", 3)
    stuck.may_go.set()
    thread.join(60)


def test_it_speaks_up_when_it_is_time_and_again_when_twice_as_much_has_passed(
    stuck: Stuck, caplog: pytest.LogCaptureFixture
) -> None:
    run, thread, watchdog = at_work(mapping(stuck), stuck)
    spoke_after: list[int] = []
    for second in range(1, 100):
        run.clock.now_s += 1
        before = len(caplog.records)
        watchdog.look()
        spoke_after += [second] * (len(caplog.records) - before)
    assert spoke_after == [10, 20, 40, 80]
    stuck.may_go.set()
    thread.join(60)
    before = len(caplog.records)
    run.clock.now_s += 1_000
    watchdog.look()
    assert len(caplog.records) == before, "nothing is being processed"


def test_each_batch_has_its_time(stuck: Stuck, caplog: pytest.LogCaptureFixture) -> None:
    """What was told of one batch does not make the next one wait for its turn."""
    run, thread, watchdog = at_work(mapping(stuck), stuck)
    run.clock.now_s += 30
    watchdog.look()
    at = run.worker.at_work
    assert at is not None
    other = Watchdog(lambda: at._replace(since_s=at.since_s + 15), slow_s=10, max_poll_interval_s=120, clock=run.clock)
    other._told = watchdog._told
    other.look()
    assert len([each for each in caplog.records if "at work on" in each.getMessage()]) == 2
    stuck.may_go.set()
    thread.join(60)


def test_its_thread_ends_with_the_block() -> None:
    watchdog = Watchdog(
        lambda: None, slow_s=1_000, max_poll_interval_s=1, clock=running(Cluster({}), mapping(Stuck())).clock
    )
    with watchdog:
        assert watchdog._thread.is_alive()
        assert watchdog._thread.daemon
    assert not watchdog._thread.is_alive()
