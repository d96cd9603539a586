"""Other code on the same state: refused, accepted, rebuilt; and two workers with different code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import penstock as ps
from penstock.errors import OperatorMustDecide
from penstock.runtime.deploy import deploy
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.topology.deployment import DeploymentRecord, decode
from tests.broker.harness.bare_reader import read
from tests.broker.runtime.deploys import (
    KEYS,
    Names,
    Variant,
    create,
    labelling,
    numbers,
    passing,
    positions,
    publish,
    results,
    run,
    state,
    stores,
    summing,
    sums,
    surroundings,
    topics,
    until_done,
    upgraded,
)

pytestmark = pytest.mark.broker


@pytest.fixture
def names(kafka: KafkaUnderTest, topic_prefix: str) -> Names:
    """A pipeline of its own, with a hundred numbers to read."""
    made = Names(topic_prefix)
    create(kafka, made.numbers)
    publish(kafka, made.numbers, numbers(0, 100))
    return made


def recorded(kafka: KafkaUnderTest, names: Names) -> list[DeploymentRecord]:
    return [decode(r.value or b"", "here") for r in read(kafka.bootstrap_servers, names.topology)[0]]


def test_a_deploy_that_loses_state_is_refused_and_has_created_nothing(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    run(kafka, names, summing("sum"), tmp_path)
    there, entries = topics(kafka, names), state(kafka, names)
    for other in (summing("total"), summing("sum", source="words"), passing):
        with pytest.raises(OperatorMustDecide, match="--accept-state-loss") as caught:
            run(kafka, names, other, tmp_path)
        assert "store 'sum'" in str(caught.value)
    assert topics(kafka, names) == there
    assert len(recorded(kafka, names)) == 1
    run(kafka, names, summing("sum"), tmp_path)
    assert state(kafka, names) == entries


def test_what_is_accepted_begins_anew_and_leaves_no_entry_of_the_old_store(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    run(kafka, names, summing("sum"), tmp_path)
    assert stores(state(kafka, names)) == {"sum": KEYS}
    publish(kafka, names.numbers, numbers(100, 200))

    run(kafka, names, summing("total"), tmp_path, accept=True)
    assert stores(state(kafka, names)) == {"total": KEYS}
    assert results(kafka, names) == {key: [*before, *sums(100, 200)[key]] for key, before in sums(0, 100).items()}

    publish(kafka, names.numbers, numbers(200, 300))
    run(kafka, names, summing("total"), tmp_path)
    assert results(kafka, names) == {key: [*before, *sums(100, 300)[key]] for key, before in sums(0, 100).items()}
    assert [record.accepted for record in recorded(kafka, names)] == [(), ("renames store 'sum'",)]


def test_older_values_go_on_under_a_higher_version_and_going_back_is_refused(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    run(kafka, names, summing("sum"), tmp_path)
    publish(kafka, names.numbers, numbers(100, 200))
    run(kafka, names, upgraded, tmp_path)
    assert results(kafka, names) == sums(0, 200)
    with pytest.raises(OperatorMustDecide, match="version 2 before, 1 now"):
        run(kafka, names, summing("sum"), tmp_path)


def test_a_renamed_task_group_goes_on_where_the_group_is_and_not_with_an_old_changelog(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    """Renamed, and named back: the changelog that was left behind speaks of another time."""
    run(kafka, names, summing(source="numbers"), tmp_path)
    publish(kafka, names.numbers, numbers(100, 200))
    run(kafka, names, summing(source="words"), tmp_path, accept=True)
    publish(kafka, names.numbers, numbers(200, 300))
    run(kafka, names, summing(source="numbers"), tmp_path, accept=True)

    expected = {key: [*sums(0, 100)[key], *sums(100, 200)[key], *sums(200, 300)[key]] for key in sums(0, 100)}
    assert results(kafka, names) == expected
    assert stores(state(kafka, names, "numbers")) == {"sum": KEYS}
    run(kafka, names, summing(source="numbers"), tmp_path)
    assert results(kafka, names) == expected


def test_the_first_store_of_a_pipeline_begins_where_the_group_is(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    run(kafka, names, passing, tmp_path)
    publish(kafka, names.numbers, numbers(100, 200))
    run(kafka, names, summing("sum"), tmp_path)
    passed = {key: [value for each, value in numbers(0, 100) if each == key] for key in sums(0, 100)}
    assert results(kafka, names) == {key: [*passed[key], *sums(100, 200)[key]] for key in passed}


def test_a_table_is_rebuilt_without_asking_and_the_stores_beside_it_stay(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    create(kafka, names.labels, names.other_labels)
    publish(kafka, names.labels, [(f"key-{n}", "old") for n in range(KEYS)] + [("key-gone", "old")])
    publish(kafka, names.other_labels, [(f"key-{n}", "new") for n in range(KEYS)])
    run(kafka, names, labelling(lambda n: n.labels, also="sum"), tmp_path)
    before = state(kafka, names)
    assert stores(before) == {"labels": KEYS + 1, "sum": KEYS}
    publish(kafka, names.numbers, numbers(100, 110))

    run(kafka, names, labelling(lambda n: n.other_labels, also="sum"), tmp_path)
    assert stores(state(kafka, names)) == {"labels": KEYS, "sum": KEYS}
    for key, found in results(kafka, names).items():
        assert [label.partition("-")[0] for label in found] == ["old"] * (len(found) - 2) + ["new"] * 2, key
    assert sum(positions(kafka, names, names.other_labels)) >= KEYS


def test_a_table_that_is_read_again_replaces_what_it_had(kafka: KafkaUnderTest, names: Names, tmp_path: Path) -> None:
    """Another name for the same topic: the group has read it to its end, and yet it is read from the beginning."""
    create(kafka, names.labels)
    publish(kafka, names.labels, [(f"key-{n}", "label") for n in range(KEYS)])
    run(kafka, names, labelling(lambda n: n.labels), tmp_path)
    run(kafka, names, passing, tmp_path)
    publish(kafka, names.numbers, numbers(100, 110))
    run(kafka, names, labelling(lambda n: n.labels), tmp_path)
    assert stores(state(kafka, names)) == {"labels": KEYS}
    assert all(found[-1].startswith("label-") for found in results(kafka, names).values())


# ---------------------------------------------------------------- at the same time


def test_older_code_that_runs_on_takes_over_nothing_that_newer_code_has_written(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    """A worker with the old code, while one with the new code has come and gone: it stops instead of deleting."""
    old = surroundings(kafka, tmp_path, instance="old")
    new = surroundings(kafka, tmp_path, instance="new", accept=True)
    with (
        opened(summing("sum")(names).topology(), old, WorkerHooks()) as worker,
        ThreadPoolExecutor(1) as pool,
    ):
        until_done(kafka, worker)
        newer = pool.submit(take_over_and_leave, kafka, names, new)
        with pytest.raises(OperatorMustDecide, match="newer code was deployed") as caught:
            step_until(worker, lambda: False)
        newer.result()
    assert "renames store 'total'" in str(caught.value)
    kept = stores(state(kafka, names))
    assert kept["total"] >= 1, "what the newer code has written is still there"


def take_over_and_leave(kafka: KafkaUnderTest, names: Names, around: WorkerSurroundings) -> None:
    """Join with newer code, take over a task, write in it, and leave it to whoever is there."""
    with opened(summing("total")(names).topology(), around, WorkerHooks()) as worker:
        step_until(worker, lambda: bool(worker.tasks))
        publish(kafka, names.numbers, numbers(200, 300))
        before = {task_id: task.committed.sequence for task_id, task in worker.tasks.items()}
        step_until(worker, lambda: any(t.committed.sequence > before.get(i, 0) for i, t in worker.tasks.items()))
        worker.close()


def test_workers_with_older_and_newer_code_share_a_pipeline_while_one_replaces_the_other(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    """A change that loses nothing: both have tasks for a while, tasks go back and forth, and every sum is right."""

    def newer(made: Names) -> ps.Pipeline:
        return summing("sum", also_filters=True)(made)

    old = surroundings(kafka, tmp_path, instance="old")
    new = surroundings(kafka, tmp_path, instance="new")
    with opened(summing("sum")(names).topology(), old, WorkerHooks()) as worker, ThreadPoolExecutor(1) as pool:
        until_done(kafka, worker)
        is_theirs, may_leave = threading.Event(), threading.Event()
        beside = pool.submit(work_beside, names, newer, new, is_theirs, may_leave)
        step_until(worker, is_theirs.is_set)
        publish(kafka, names.numbers, numbers(100, 200))
        step_until(worker, lambda: sum(positions(kafka, names, names.numbers)) >= 200)
        may_leave.set()
        until_done(kafka, worker)  # it has the newer one's task again, which it loses nothing of
        publish(kafka, names.numbers, numbers(200, 300))
        until_done(kafka, worker)
        worker.close()
        beside.result()
    run(kafka, names, newer, tmp_path)
    assert results(kafka, names) == sums(0, 300)


def work_beside(
    names: Names,
    variant: Variant,
    around: WorkerSurroundings,
    is_theirs: threading.Event,
    may_leave: threading.Event,
) -> None:
    """Join, have a task for a while, and leave."""
    with opened(variant(names).topology(), around, WorkerHooks()) as worker:
        step_until(worker, lambda: bool(worker.tasks))
        is_theirs.set()
        step_until(worker, may_leave.is_set)
        worker.close()


def step_until(worker: Worker, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        worker.step()


def test_many_workers_that_start_at_once_with_the_same_code_record_it_once(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    topology = summing("sum")(names).topology()

    def start(number: int) -> str:
        _, lineage = deploy(topology, surroundings(kafka, tmp_path, instance=f"w{number}"), WorkerHooks())
        return str(lineage.is_ours(topology.fingerprint))

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(start, range(6))) == {"True"}
    assert [record.deployment.fingerprint for record in recorded(kafka, names)] == [topology.fingerprint]


def test_of_two_that_start_at_once_with_different_code_one_is_refused(
    kafka: KafkaUnderTest, names: Names, tmp_path: Path
) -> None:
    """Each would lose the other's store: whoever records second is compared with the first, in every round."""

    def start(store: str) -> bool:
        try:
            deploy(summing(store)(names).topology(), surroundings(kafka, tmp_path, instance=store), WorkerHooks())
        except OperatorMustDecide:
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(start, ["sum", "total", "another"])) == [False, False, True]
    assert len(recorded(kafka, names)) == 1
