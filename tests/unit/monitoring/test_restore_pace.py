"""How long a restore still takes, as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from penstock.monitoring import catalogue
from penstock.monitoring.restore_pace import Progress, RestorePace
from penstock.monitoring.task_families import task_families
from penstock.monitoring.task_view import WorkerView
from penstock.monitoring.worker_metrics import WorkerMetrics
from penstock.runtime.task import Task, TaskId
from tests.unit.monitoring.observed_worker import PLACE
from tests.unit.monitoring.parsing import scraped, value
from tests.unit.publishing.in_memory import ManualClock

A, B = TaskId("in", 0), TaskId("in", 1)


@dataclass
class Restoring:
    """A worker that restores."""

    restoring: Mapping[TaskId, Progress]
    tasks: Mapping[TaskId, Task] = field(default_factory=dict[TaskId, Task])


def test_what_is_left_takes_as_long_in_proportion_as_what_is_done() -> None:
    pace = RestorePace()
    assert pace.left_s([(A, None), (B, None)], 100) == {}
    assert pace.left_s([(A, (300, 400)), (B, (10, 1_010))], 106) == {A: pytest.approx(2), B: pytest.approx(600)}


def test_a_restore_is_under_way_since_its_assignment_and_not_since_it_is_looked_at() -> None:
    """And a later assignment is none of its."""
    pace = RestorePace()
    pace.assigned(100)
    assert pace.left_s([(A, (5, 15))], 102) == {A: pytest.approx(4)}
    pace.assigned(104)
    assert pace.left_s([(A, (10, 15)), (B, (1, 11))], 106) == {A: pytest.approx(3), B: pytest.approx(20)}


def test_nothing_is_told_before_anything_is_read_or_where_nobody_knows_how_long_that_took() -> None:
    pace = RestorePace()
    assert pace.left_s([(A, (5, 10))], 100) == {}
    assert pace.left_s([(A, (5, 10)), (B, (0, 10))], 101) == {A: pytest.approx(1)}
    assert pace.left_s([(A, (5, 10)), (B, (0, 10))], 102) == {A: pytest.approx(2)}


def test_an_end_that_lies_before_what_is_read_is_reached() -> None:
    """Control records behind the last record are stepped over."""
    pace = RestorePace()
    pace.left_s([(A, None)], 100)
    assert pace.left_s([(A, (12, 10))], 101) == {A: 0}


def test_a_task_that_comes_back_begins_anew() -> None:
    pace = RestorePace()
    pace.left_s([(A, None)], 100)
    pace.left_s([], 110)
    pace.left_s([(A, None)], 200)
    assert pace.left_s([(A, (1, 2))], 203) == {A: pytest.approx(3)}


def test_of_a_group_the_task_that_takes_longest_is_told() -> None:
    view = WorkerView(restoring=((A, (1, 2)), (B, (1, 2))), left_s={A: 40.0, B: 7.0})
    assert value(scraped(task_families(view, "p", 0)), str(catalogue.RESTORE_ETA), task_group="in") == 40


def test_a_worker_that_restores_tells_when_it_will_be_done_and_nothing_any_more_when_it_is() -> None:
    clock = ManualClock()
    metrics, worker = WorkerMetrics(PLACE, clock), Restoring({A: None})
    metrics.watch(worker)
    metrics.on_rebalance("assigned", [("in", 0)])
    told = []
    for progress in ({A: (25, 100)}, {A: (50, 100)}, {}):
        clock.now_s += 10
        worker.restoring = progress
        metrics.on_poll(0, 0)
        told.append(value(scraped(metrics.families()), str(catalogue.RESTORE_ETA), task_group="in"))
    assert told == [30, 20, None]
