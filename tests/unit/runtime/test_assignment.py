"""Which tasks a set of partitions makes up, and which it tears."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError
from penstock.runtime.assignment import Assignment, needs_copartitioning
from penstock.runtime.task import TaskId
from penstock.schemas.topic import Topic
from penstock.topology.topology import Topology


def of(name: str) -> Topic[str, str]:
    return Topic(name, key=str, value=str)


def merged() -> Topology:
    made = Pipeline("p")
    made.stream(of("wide")).merge(made.stream(of("narrow"))).to(of("out"))
    return made.topology()


def apart() -> Topology:
    made = Pipeline("p")
    made.stream(of("wide")).to(of("out"))
    made.stream(of("narrow")).to(of("out"))
    return made.topology()


WIDTHS = {"wide": 3, "narrow": 2}


def test_a_task_runs_where_all_its_partitions_are() -> None:
    assignment = Assignment(merged(), WIDTHS)
    assert assignment.complete({("wide", 0), ("narrow", 0), ("wide", 1), ("wide", 2)}) == {
        TaskId("wide", 0): (("wide", 0), ("narrow", 0)),
        TaskId("wide", 2): (("wide", 2),),
    }
    assert assignment.complete(set()) == {}


def test_a_torn_task_is_named_with_the_topics_that_do_not_fit() -> None:
    assignment = Assignment(merged(), WIDTHS)
    held = {("wide", 0), ("wide", 1), ("narrow", 0)}
    assert assignment.split(held) == {TaskId("wide", 1): (("narrow", 1),)}
    with pytest.raises(
        ConfigurationError, match=r"wide\[1\] can run nowhere.*narrow\[1\].*'wide' has 3.*'narrow' has 2"
    ):
        assignment.check(held)
    assignment.check({("wide", 0), ("narrow", 0)})
    assignment.check(set())


def test_topics_that_are_read_apart_are_tasks_apart() -> None:
    assignment = Assignment(apart(), WIDTHS)
    assignment.check({("wide", 0), ("narrow", 1)})
    assert len(assignment.tasks) == 5


def test_only_what_is_read_together_needs_the_same_partitions_on_one_worker() -> None:
    assert needs_copartitioning(merged())
    assert not needs_copartitioning(apart())
