"""What a worker answers to probes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from penstock.errors import OutcomeUnknown, TransactionAborted
from penstock.monitoring.endpoints import status, worker_pages
from penstock.monitoring.health import Health
from penstock.monitoring.task_view import InputView, TaskView, WorkerView
from penstock.monitoring.worker_metrics import Place, WorkerMetrics
from penstock.runtime.breaker_state import BreakerState
from penstock.runtime.task import TaskId
from tests.unit.publishing.in_memory import ManualClock

PLACE = Place("p", "kafka", "1.0", "c0ffee", "2.16", 60.0, 30.0)
TASK = TaskId("in", 0)


class Probed:
    """A worker that polls when the test says so."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = WorkerMetrics(PLACE, self.clock)
        self.health = Health(self.metrics, self.clock)
        self.pages = worker_pages("p.a.0", self.metrics, self.health, self.clock)

    def polls(self) -> None:
        self.metrics.on_join("p", {"in": 1}, 120.0)
        self.metrics.on_poll(0, 0.0)

    def status(self, path: str) -> int:
        return self.pages[path]().status


@pytest.fixture
def probed() -> Probed:
    return Probed()


def test_a_worker_lives_while_its_loop_turns_whatever_else_is_wrong(probed: Probed) -> None:
    probed.polls()
    probed.metrics.view = WorkerView((TaskView(TASK, "stopped", (), 0, None, None),))
    probed.metrics.on_abort(Exception("a broker is away"))
    assert (probed.status("/livez"), probed.status("/readyz")) == (200, 503)


def test_a_worker_whose_loop_hangs_for_half_of_the_longest_allowed_is_dead(probed: Probed) -> None:
    probed.polls()
    probed.clock.now_s += 60
    assert probed.status("/livez") == 200
    probed.clock.now_s += 1
    assert probed.status("/livez") == 503
    assert probed.status("/readyz") == 503


@pytest.mark.parametrize("trouble", ["doubt", "abort"])
def test_a_loop_that_waits_for_kafka_behind_a_transaction_lives(probed: Probed, trouble: str) -> None:
    """It is asked for as long as there is a budget for it; a restart in between would have to ask the same."""
    probed.polls()
    if trouble == "doubt":
        probed.metrics.on_doubt(OutcomeUnknown("not answered"))
    else:
        probed.metrics.on_abort(TransactionAborted("a broker is away"))
    probed.clock.now_s += 100
    assert probed.status("/livez") == 200
    probed.polls()
    probed.clock.now_s += 61
    assert probed.status("/livez") == 503, "it has polled since, so now it hangs in something else"


def test_a_worker_that_never_polls_is_given_up_after_two_minutes(probed: Probed) -> None:
    probed.clock.now_s += 120
    assert (probed.status("/livez"), probed.status("/readyz")) == (200, 503)
    probed.clock.now_s += 1
    assert probed.status("/livez") == 503


def test_a_worker_is_ready_when_nothing_restores_or_stands_still(probed: Probed) -> None:
    assert probed.status("/readyz") == 503
    probed.polls()
    assert probed.status("/readyz") == 200, "it stands by: there are no partitions for it"
    probed.metrics.view = WorkerView(restoring=((TASK, (3, 10)),))
    assert probed.status("/readyz") == 503
    assert b"restoring: in[0]" in probed.pages["/readyz"]().body
    probed.metrics.view = WorkerView((TaskView(TASK, "running", (), 0, None, None),))
    assert probed.status("/readyz") == 200


def test_a_worker_whose_circuit_breaker_is_open_is_not_ready_and_says_so(probed: Probed) -> None:
    """It pauses by itself, so it is alive; whether it goes on, a few records will tell."""
    probed.polls()
    for state, code in ((BreakerState.OPEN, 503), (BreakerState.HALF_OPEN, 200), (BreakerState.CLOSED, 200)):
        probed.metrics.view = WorkerView((TaskView(TASK, "waiting", (), 0, None, None, state),))
        assert (probed.status("/livez"), probed.status("/readyz")) == (200, code)
        (task,) = msgspec.json.decode(probed.pages["/status"]().body)["tasks"]
        assert task["breaker"] == state.value
        if state is BreakerState.OPEN:
            assert probed.pages["/readyz"]().body == b"circuit breaker open, too much ends as dead letters: in[0]\n"


def test_a_worker_is_not_ready_before_its_partitions_have_their_tasks(probed: Probed) -> None:
    """Between the assignment and the first slice of a restore, nothing restores and nothing runs."""
    probed.polls()
    probed.metrics.on_rebalance("assigned", [("in", 0)])
    assert probed.status("/readyz") == 503
    there = InputView("in", 0, 0, 0, None, is_known=True)
    probed.metrics.view = WorkerView((TaskView(TASK, "running", (there,), 0, None, None),))
    assert probed.status("/readyz") == 200


def test_a_worker_that_was_ready_once_has_started(probed: Probed) -> None:
    probed.polls()
    probed.metrics.view = WorkerView(restoring=((TASK, None),))
    assert probed.status("/startupz") == 503
    probed.metrics.view = WorkerView()
    assert probed.status("/startupz") == 200
    probed.metrics.view = WorkerView(restoring=((TASK, None),))
    assert (probed.status("/startupz"), probed.status("/readyz")) == (200, 503)


def test_a_worker_that_stops_is_not_ready_and_lives(probed: Probed) -> None:
    probed.polls()
    probed.health.is_draining = True
    assert (probed.status("/livez"), probed.status("/readyz")) == (200, 503)


def test_the_status_is_one_json_document(probed: Probed) -> None:
    probed.polls()
    probed.metrics.on_abort(Exception("planted"))
    probed.metrics.view = WorkerView(restoring=((TASK, (3, 10)),))
    told: dict[str, Any] = msgspec.json.decode(probed.pages["/status"]().body)
    assert (told["worker"], told["group"], told["ready"]) == ("p.a.0", "p", False)
    assert told["restoring"] == [{"task": "in[0]", "read": 3, "of": 10}]
    assert told["last_abort"] == {"at_ms": probed.clock.now_ms(), "reason": "other"}


class Ending(WorkerMetrics):
    """Its transaction ends between two looks of another thread."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        if name != "open_since_ms":
            return super().__getattribute__(name)
        self.looks += 1
        return 990_000 if self.looks == 1 else None


def test_a_transaction_that_ends_while_the_status_is_made_does_no_harm() -> None:
    clock = ManualClock()
    metrics = Ending(PLACE, clock)
    told = status("p.a.0", metrics, Health(metrics, clock), clock)
    assert told["transaction_open_s"] == clock.now_ms() / 1000 - 990


def test_a_clock_that_goes_back_makes_no_transaction_open_for_less_than_no_time(probed: Probed) -> None:
    probed.polls()
    probed.metrics.on_step("begin")
    probed.clock.now_s -= 5
    assert msgspec.json.decode(probed.pages["/status"]().body)["transaction_open_s"] == 0
