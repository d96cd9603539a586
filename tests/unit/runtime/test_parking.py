"""A record that is parked: only its key waits, in order; queues are part of the state, so crashes change nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.deadletter.parking import ParkingLimits
from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskStatus
from penstock.schemas.topic import Topic
from penstock.topology.policy import Policy, Retry
from tests.unit.runtime.flaky import Flaky
from tests.unit.runtime.in_memory import Cluster, Fault, Running, running
from tests.unit.runtime.in_memory_cluster import Written

IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=str)
A = ("in", 0)
KEYS = 3
ROWS = 18
SECOND = timedelta(seconds=1)


def cluster(rows: int = ROWS, keys: int = KEYS) -> Cluster:
    return Cluster({A: [(n, b"k%d" % (n % keys), b"%d" % n, n) for n in range(rows)]})


def listing(flaky: Flaky, on_error: Policy = "park_key") -> Pipeline:
    """Per key, the numbers so far: order shows."""
    made = Pipeline("p")
    numbers = made.stream(IN).map(flaky, name="enrich", on_error=on_error)
    lists = numbers.aggregate(str, lambda so_far, number: f"{so_far} {number}".strip(), name="list")
    lists.to_stream().to(OUT)
    return made


def lists_of(numbers: list[int], keys: int = KEYS) -> dict[bytes, list[bytes]]:
    """{key: its output, as it is if nothing fails}."""
    found: dict[bytes, list[bytes]] = {}
    for key in range(keys):
        of_key = [str(n) for n in numbers if n % keys == key]
        found[b"k%d" % key] = [" ".join(of_key[: n + 1]).encode() for n in range(len(of_key))]
    return found


def written(log: Cluster) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {b"k%d" % key: [] for key in range(KEYS)}
    for records, _ in log.transactions:
        for record in records:
            if record.topic == "out":
                found.setdefault(record.key or b"", []).append(record.value or b"")
    return found


def dead(log: Cluster) -> list[tuple[bytes | None, dict[str, bytes | None]]]:
    return [(w.value, dict(w.headers)) for records, _ in log.transactions for w in records if w.topic == "dlq.in"]


def step_until(run: Running, is_so: Callable[[], bool], tick_s: float = 0.5, steps: int = 1_000) -> None:
    for _ in range(steps):
        if is_so():
            return
        run.worker.step()
        run.clock.now_s += tick_s
    raise AssertionError("waited in vain")


def parked(log: Cluster) -> int:
    """Keys that are parked, as a restart would find them."""
    found: dict[bytes, bytes | None] = {}
    for record in log.changelog("in.changelog", 0):
        found[record.key or b""] = record.value
    return sum(1 for key, value in found.items() if b"parked-keys-in" in key and value is not None)


def is_done(log: Cluster, rows: int = ROWS) -> bool:
    return log.position_of(A) == rows and parked(log) == 0


def test_a_key_that_recovers_ends_as_if_it_had_never_failed_and_no_other_has_waited() -> None:
    log, flaky = cluster(), Flaky({4: 5})
    run = running(log, listing(flaky))
    step_until(run, lambda: log.position_of(A) == ROWS, tick_s=0.01)
    expected = lists_of(list(range(ROWS)))
    early = written(log)
    assert early[b"k1"] == expected[b"k1"][:1], "what is behind the failed record waits"
    assert (early[b"k0"], early[b"k2"]) == (expected[b"k0"], expected[b"k2"]), "the others do not"
    assert parked(log) == 1
    step_until(run, lambda: is_done(log))
    assert written(log) == expected
    assert dead(log) == []


def test_it_is_left_alone_until_it_is_due() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, listing(flaky, Retry(keep="key", first=SECOND * 10, jitter=0)))
    step_until(run, lambda: log.position_of(A) == ROWS, tick_s=0.01)
    calls = flaky.calls[4]
    step_until(run, lambda: run.clock.now_s > 1_009, tick_s=0.2)
    assert flaky.calls[4] == calls
    step_until(run, lambda: flaky.calls[4] == calls + 1, tick_s=0.2)
    assert 1_010 < run.clock.now_s < 1_012
    assert flaky.calls[7] == 0, "nor is anything behind it tried"


def test_one_that_was_tried_often_enough_is_a_dead_letter_and_the_rest_goes_on() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, listing(flaky, Retry(keep="key", attempts=4)))
    step_until(run, lambda: is_done(log))
    assert written(log) == lists_of([n for n in range(ROWS) if n != 4])
    ((value, letter),) = dead(log)
    assert (value, letter["penstock.dlq.attempts"], letter["__dlq.errors.offset"]) == (b"4", b"4", b"4")
    assert int(letter["penstock.dlq.first.failed.ms"] or b"") < int(letter["penstock.dlq.failed.ms"] or b"")


def test_or_the_rest_of_its_key_goes_with_it_in_order() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, listing(flaky, Retry(keep="key", attempts=2, rest="dead_letter")))
    step_until(run, lambda: log.position_of(A) == ROWS, tick_s=0.01)
    step_until(run, lambda: is_done(log))
    assert [value for value, _ in dead(log)] == [b"4", b"7", b"10", b"13", b"16"]
    assert [letter["penstock.dlq.reason"] for _, letter in dead(log)] == [b"error", *[b"chain"] * 4]
    assert written(log) == lists_of([n for n in range(ROWS) if n % 3 != 1 or n < 4])


def test_or_the_task_stops_with_the_key_still_parked() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    run = running(log, listing(flaky, Retry(keep="key", attempts=2, then="fail")))
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@4 failed at 'enrich'"):
        step_until(run, lambda: False)
    assert parked(log) == 1
    assert dead(log) == []


def test_a_restart_goes_on_where_the_queue_is() -> None:
    log, flaky = cluster(), Flaky({4: 9})
    first = running(log, listing(flaky))
    step_until(first, lambda: log.position_of(A) == ROWS, tick_s=0.01)
    log.inputs[A] += [(ROWS, b"k1", b"%d" % 19, ROWS)]
    second = running(log, listing(flaky))
    second.clock.now_s = first.clock.now_s
    step_until(second, lambda: is_done(log, ROWS + 1))
    assert written(log)[b"k1"] == lists_of([*range(ROWS), 19])[b"k1"]
    assert dead(log) == []


@pytest.mark.parametrize("is_eager", [False, True])
def test_partitions_that_go_and_come_back_bring_their_queues(*, is_eager: bool) -> None:
    log, flaky = cluster(), Flaky({4: 9})
    log.is_eager = is_eager
    run = running(log, listing(flaky))
    step_until(run, lambda: parked(log) == 1, tick_s=0.01)
    for _ in range(3):
        run.member.events.append(("revoked", [A]))
        run.member.events.append(("assigned", [A]))
        for _ in range(4):
            run.worker.step()
            run.clock.now_s += 0.3
    step_until(run, lambda: is_done(log))
    assert written(log) == lists_of(list(range(ROWS)))
    assert dead(log) == []


def test_an_outage_stops_the_task_and_fills_no_parking() -> None:
    log, flaky = cluster(), Flaky({4: 12}, ConnectionResetError)
    run = running(log, listing(flaky))
    step_until(run, lambda: log.position_of(A) == 4, tick_s=0.01)
    (task,) = run.worker.tasks.values()
    assert (task.status, parked(log)) == (TaskStatus.WAITING, 0)
    step_until(run, lambda: is_done(log), tick_s=10)
    assert written(log) == lists_of(list(range(ROWS)))


def test_an_outage_while_a_key_is_parked_costs_it_no_attempt() -> None:
    log = cluster()
    errors: list[Exception] = [ValueError(), ValueError(), *[TimeoutError() for _ in range(20)], ValueError()]
    flaky = Flaky({4: 23}, lambda: errors.pop(0))
    run = running(log, listing(flaky, Retry(keep="key", attempts=3)))
    step_until(run, lambda: is_done(log), tick_s=10)
    assert dead(log) == []
    assert written(log) == lists_of(list(range(ROWS)))


def test_a_record_without_a_key_is_waited_for_by_all() -> None:
    made = Pipeline("p")
    flaky = Flaky({1: 5})
    made.stream(IN).map(flaky, name="enrich", on_error="park_key").to(OUT)
    log = Cluster({A: [(n, None, b"%d" % n, n) for n in range(3)]})
    run = running(log, made)
    step_until(run, lambda: log.position_of(A) == 1, tick_s=0.01)
    assert log.values("out") == [b"0"]
    step_until(run, lambda: log.position_of(A) == 3)
    assert log.values("out") == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "limits",
    [
        ParkingLimits(max_keys=1),
        ParkingLimits(max_records_per_key=2),
        ParkingLimits(max_bytes_per_key=4),
        ParkingLimits(max_bytes=5),
    ],
)
def test_where_no_more_may_be_parked_all_wait_and_nothing_is_lost(limits: ParkingLimits) -> None:
    log, flaky = cluster(), Flaky({4: 9, 5: 9})
    run = running(log, listing(flaky), WorkerLimits(parking=limits))
    step_until(run, lambda: is_done(log))
    assert written(log) == lists_of(list(range(ROWS)))
    assert dead(log) == []


def test_a_parked_record_whose_output_is_refused_is_set_aside_and_its_key_goes_on() -> None:
    """It is found among others that are due, though the broker does not say which it is."""
    log = cluster()
    made = Pipeline("p")
    flaky = Flaky({4: 3, 5: 3})
    at_once = Retry(keep="key", jitter=0)
    made.stream(IN).map(flaky, name="enrich", on_error=at_once).to(OUT, on_error="dead_letter")
    log.refuses = lambda record: "too large" if (record.topic, record.value) == ("out", b"8") else None
    run = running(log, made)
    step_until(run, lambda: is_done(log))
    assert [(value, letter["penstock.dlq.stage"]) for value, letter in dead(log)] == [(b"8", b"sink")]
    assert sorted(int(value or b"") for value in log.values("out")) == [n for n in range(ROWS) if n != 8]


def test_the_policy_of_the_step_that_writes_decides_on_a_parked_record_whose_output_is_refused() -> None:
    """Not that of the step for which it was parked."""
    log, flaky = cluster(), Flaky({4: 3, 5: 3})
    made = Pipeline("p")
    made.stream(IN).map(flaky, name="enrich", on_error=Retry(keep="key", jitter=0)).to(OUT, on_error="fail")
    log.refuses = lambda record: "too large" if (record.topic, record.value) == ("out", b"4") else None
    run = running(log, made)
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@4 failed at 'to-out' .*mend that topic's settings"):
        step_until(run, lambda: is_done(log))
    assert (dead(log), parked(log) > 0) == ([], True)


def test_a_changelog_that_refuses_what_a_parked_record_leaves_stops_the_task_whatever_the_policy() -> None:
    """To set the record aside would lose it for a setting of ours."""
    log, flaky = cluster(), Flaky({16: 3})
    log.refuses = lambda w: "too large" if w.topic == "in.changelog" and b"13 16" in (w.value or b"") else None
    run = running(log, listing(flaky))
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@16 failed at stage state: topic 'in.changelog' refuses"):
        step_until(run, lambda: is_done(log))
    assert (dead(log), parked(log)) == ([], 1)


@pytest.mark.parametrize(
    ("refuses", "held"),
    [
        (lambda w: "penstock.dlq.stack" in dict(w.headers), (True, True)),
        (lambda w: w.value is not None, (True, False)),
        (lambda w: w.key is not None, (False, False)),
    ],
)
def test_a_parked_record_whose_dead_letter_is_refused_leaves_one_that_holds_less(
    refuses: Callable[[Written], bool], held: tuple[bool, bool]
) -> None:
    """It says why the record failed, and not that its dead letter was refused."""
    log, flaky = cluster(), Flaky({4: 99})
    log.refuses = lambda w: "too large" if w.topic == "dlq.in" and refuses(w) else None
    run = running(log, listing(flaky, Retry(keep="key", attempts=2)))
    step_until(run, lambda: is_done(log))
    assert written(log) == lists_of([n for n in range(ROWS) if n != 4])
    (letter,) = [w for records, _ in log.transactions for w in records if w.topic == "dlq.in"]
    assert (letter.key is not None, letter.value is not None) == held
    headers = dict(letter.headers)
    assert (headers["penstock.dlq.stage"], headers["penstock.dlq.exception"]) == (b"process", b"builtins.ValueError")
    assert (headers["__dlq.errors.offset"], headers["penstock.dlq.attempts"]) == (b"4", b"2")


def test_a_parked_record_whose_dead_letter_is_refused_in_every_form_stops_the_task_and_stays() -> None:
    log, flaky = cluster(), Flaky({4: 99})
    log.refuses = lambda w: "full" if w.topic == "dlq.in" else None
    run = running(log, listing(flaky, Retry(keep="key", attempts=2)))
    with pytest.raises(OperatorMustDecide, match=r"in\[0\]@4 .*topic 'dlq.in' refuses its dead letter in every form"):
        step_until(run, lambda: is_done(log))
    assert (dead(log), parked(log)) == ([], 1)
    log.refuses = lambda _: None
    step_until(running(log, listing(flaky)), lambda: is_done(log))
    assert [value for value, _ in dead(log)] == [b"4"]


def test_a_pipeline_that_parks_nothing_has_no_place_for_it() -> None:
    assert "park-in" not in [node.name for node in listing(Flaky({}), "dead_letter").topology().nodes]
    nodes = {node.name: node for node in listing(Flaky({})).topology().nodes}
    assert [store.name for store in nodes["park-in"].operation.stores] == ["parked-keys-in", "parked-in"]
    assert [port.node for port in nodes["enrich"].parents] == ["park-in"]


CALLS = st.sampled_from(["begin", "produce", "flush", "offsets", "commit"])
KINDS: list[Fault] = ["aborted", "unknown, done", "unknown, lost"]


def _is_possible(call: str, fault: Fault) -> bool:
    return fault == "aborted" if call != "commit" else fault != "aborted"


@settings(max_examples=120, deadline=None)
@given(
    failures=st.dictionaries(st.integers(0, ROWS - 1), st.integers(1, 8), max_size=8),
    most=st.integers(1, ROWS),
    faults=st.dictionaries(st.tuples(CALLS, st.integers(1, 12)), st.sampled_from(KINDS), max_size=6),
    dies_after=st.lists(st.integers(1, 25), max_size=3),
    arrivals=st.integers(1, ROWS),
)
def test_whatever_fails_and_dies_each_keys_order_is_kept_and_nothing_is_lost_or_doubled(
    failures: dict[int, int],
    most: int,
    faults: dict[tuple[str, int], Fault],
    dies_after: list[int],
    arrivals: int,
) -> None:
    """Records keep coming while keys are parked; workers die between any two steps."""
    log = cluster()
    late = log.inputs[A][arrivals:]
    del log.inputs[A][arrivals:]
    log.faults |= {at: fault for at, fault in faults.items() if _is_possible(at[0], fault)}
    pipeline = listing(Flaky(failures), Retry(keep="key", attempts=None, longest=SECOND * 8))
    now_s = 1_000.0
    for steps in [*dies_after, 2_000]:
        run = running(log, pipeline, WorkerLimits(max_batch_records=most))
        run.clock.now_s = now_s
        for _ in range(steps):
            if late:
                log.inputs[A].append(late.pop(0))
            if not late and is_done(log):
                break
            run.worker.step()
            run.clock.now_s += 0.7
        now_s = run.clock.now_s
    assert is_done(log), "it comes to an end"
    assert written(log) == lists_of(list(range(ROWS)))
    assert dead(log) == []


@settings(max_examples=60, deadline=None)
@given(
    hopeless=st.sets(st.integers(0, ROWS - 1), max_size=5),
    most=st.integers(1, ROWS),
    attempts=st.integers(1, 3),
)
def test_keys_that_never_recover_hold_no_other_up(hopeless: set[int], most: int, attempts: int) -> None:
    log, flaky = cluster(), Flaky(dict.fromkeys(hopeless, 10**9))
    run = running(log, listing(flaky, Retry(keep="key", attempts=attempts)), WorkerLimits(max_batch_records=most))
    step_until(run, lambda: is_done(log))
    assert written(log) == lists_of([n for n in range(ROWS) if n not in hopeless])
    assert sorted(int(value or b"") for value, _ in dead(log)) == sorted(hopeless)
