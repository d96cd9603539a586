"""The record that kills the process is found by its deaths, and no other is blamed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.runtime.attempts import MAX_DEATHS, AttemptLedger
from penstock.runtime.hooks import WorkerHooks
from penstock.schemas.topic import Topic
from penstock.topology.policy import Policy, Retry
from tests.unit.runtime.flaky import Flaky
from tests.unit.runtime.in_memory import Cluster, running

A, B = ("in", 0), ("other", 0)


class Died(BaseException):
    """The process is gone."""


def batch(offsets: list[int], topic: str = "in") -> SourceBatch:
    nothing: list[bytes | None] = [None] * len(offsets)
    return SourceBatch(topic, 0, offsets, nothing, nothing, [0] * len(offsets))


def life(file: Path, offsets: list[int], most: int, killer: int) -> list[int]:
    """One process that reads these offsets in batches, and dies at the killer.

    Returns:
        Offsets, negative for those that were not run.
    """
    ledger = AttemptLedger(file)
    ledger.__enter__()
    done: list[int] = []
    left = offsets
    while left:
        limit = ledger.max_records({A: left[0]})
        taken, left = left[: min(most, limit or most)], left[min(most, limit or most) :]
        in_hand = batch(taken)
        verdict = ledger.verdict(in_hand)
        ledger.begin(in_hand)
        if verdict is not None:
            done.append(-taken[0])
        elif killer in taken:
            raise Died
        else:
            done += taken
        ledger.end()
    ledger.__exit__(None, None, None)
    return done


@settings(max_examples=80, deadline=None)
@given(
    offsets=st.sets(st.integers(1, 200), min_size=1, max_size=40),
    place=st.integers(0, 39),
    most=st.integers(1, 20),
)
def test_it_is_set_aside_after_its_deaths_and_everything_else_runs(
    tmp_path_factory: pytest.TempPathFactory, offsets: set[int], place: int, most: int
) -> None:
    file = tmp_path_factory.mktemp("ledger") / "attempts" / "w.json"
    in_order = sorted(offsets)
    killer = in_order[place % len(in_order)]
    deaths = 0
    while True:
        try:
            done = life(file, in_order, most, killer)
            break
        except Died:
            deaths += 1
            assert deaths <= MAX_DEATHS + 1, "once in a batch, and then alone"
    assert done == [-offset if offset == killer else offset for offset in in_order]
    assert not file.exists()


class Worker:
    """One of several of a place, which has died of nothing yet."""

    def __init__(self, folder: Path, number: int, clock: list[float]) -> None:
        self.ledger = AttemptLedger(folder / f"p.here.{number}.json", monotonic_s=lambda: clock[0])
        self.ledger.__enter__()

    def work(self, offsets: list[int], most: int, killer: int, done: list[int]) -> None:
        """On these, in batches, until it dies at the killer."""
        while left := [offset for offset in offsets if offset not in done and -offset not in done]:
            limit = self.ledger.max_records({A: left[0]})
            in_hand = batch(left[: min(most, limit or most)])
            verdict = self.ledger.verdict(in_hand)
            self.ledger.begin(in_hand)
            if verdict is None and killer in in_hand.offsets:
                raise Died
            done += [-offset if verdict is not None else offset for offset in in_hand.offsets]
            self.ledger.end()


@settings(max_examples=80, deadline=None)
@given(
    killer=st.integers(1, 30),
    most=st.integers(1, 20),
    turns=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    comes_back=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_a_record_that_goes_from_worker_to_worker_is_found_by_the_deaths_of_all(
    tmp_path_factory: pytest.TempPathFactory, killer: int, most: int, turns: list[int], comes_back: list[bool]
) -> None:
    """Whoever dies may be back, or not, when the next one has its partition."""
    folder, clock = tmp_path_factory.mktemp("place"), [0.0]
    workers = {number: Worker(folder, number, clock) for number in range(3)}
    offsets, done, deaths = list(range(1, 31)), list[int](), 0
    for turn, is_back in zip(turns, comes_back, strict=True):
        if turn not in workers:
            workers[turn] = Worker(folder, turn, clock)
        try:
            workers[turn].work(offsets, most, killer, done)
            break
        except Died:
            deaths += 1
            clock[0] += 2
            del workers[turn]
            if is_back:
                workers[turn] = Worker(folder, turn, clock)
    assert done == [-offset if offset == killer else offset for offset in offsets]
    assert deaths <= MAX_DEATHS + 1


def test_what_a_worker_of_another_place_or_pipeline_has_in_hand_is_no_business_of_ours(tmp_path: Path) -> None:
    for name in ("p.there.0", "q.here.0"):
        other = AttemptLedger(tmp_path / f"{name}.json")
        other.__enter__()
        other.begin(batch([5]))
    ours = AttemptLedger(tmp_path / "p.here.0.json")
    ours.__enter__()
    assert ours.max_records({A: 1}) is None


def test_one_that_ends_by_itself_leaves_no_suspicion(tmp_path: Path) -> None:
    file = tmp_path / "w.json"

    def work() -> None:
        with AttemptLedger(file) as ledger:
            ledger.begin(batch([1, 2]))
            raise ValueError("no process has died of this")

    with pytest.raises(ValueError, match="no process has died"):
        work()
    with AttemptLedger(file) as ledger:
        assert ledger.max_records({A: 1}) is None


def test_one_that_was_killed_between_two_batches_suspects_nothing(tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    ledger = AttemptLedger(file).__enter__()
    ledger.begin(batch([1, 2]))
    ledger.end()
    with AttemptLedger(file) as next_one:
        assert next_one.max_records({A: 1}) is None


def test_up_to_what_was_in_hand_records_run_alone_and_behind_it_as_usual(tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    AttemptLedger(file).__enter__().begin(batch([50, 51, 60]))
    with AttemptLedger(file) as ledger:
        assert ledger.max_records({B: 55}) is None
        assert ledger.max_records({A: 10}) == 1
        assert ledger.max_records({A: 50}) == 1
        assert ledger.max_records({A: 60}) == 1
        assert ledger.max_records({A: 61}) is None
        assert ledger.max_records({A: 50}) is None, "it is over"


def test_deaths_are_kept_though_the_process_is_killed_elsewhere_in_between(tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    for _ in range(2):
        AttemptLedger(file).__enter__().begin(batch([7]))
    AttemptLedger(file).__enter__()  # killed before it came to anything
    ledger = AttemptLedger(file).__enter__()
    assert ledger.max_records({A: 7}) == 1
    ledger.begin(batch([7]))
    with AttemptLedger(file) as last:
        verdict = last.verdict(batch([7]))
        assert verdict is not None
        assert verdict.deaths == MAX_DEATHS


def test_a_process_that_is_killed_as_it_begins_forgets_no_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "w.json"
    for _ in range(MAX_DEATHS):
        AttemptLedger(file).__enter__().begin(batch([7]))

    def dies(*_: object) -> int:
        raise Died

    with monkeypatch.context() as patched, suppress(Died):
        patched.setattr(os, "pwrite", dies)
        AttemptLedger(file).__enter__()
    with AttemptLedger(file) as ledger:
        verdict = ledger.verdict(batch([7]))
        assert verdict is not None
        assert verdict.deaths == MAX_DEATHS


def test_a_file_that_makes_no_sense_accuses_nobody(tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    file.write_text('{"in_hand": [')
    with AttemptLedger(file) as ledger:
        assert ledger.max_records({A: 0}) is None


def test_what_is_written_is_always_whole(tmp_path: Path) -> None:
    """A shorter note over a longer one leaves nothing of that behind."""
    file = tmp_path / "w.json"
    with AttemptLedger(file) as ledger:
        ledger.begin(batch([10**15], "t" * 600))
        assert json.loads(file.read_text())["in_hand"][2] == 10**15
        ledger.begin(batch([1]))
        assert json.loads(file.read_text())["in_hand"] == ["in", 0, 1, 1]
        ledger.end()
        assert json.loads(file.read_text())["in_hand"] is None


class HeldAtCommit(WorkerHooks):
    """What the ledger's file has in hand whenever a commit begins."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.held: list[object] = []

    def on_step(self, step: str) -> None:
        if step == "flush":
            self.held.append(json.loads(self.file.read_text())["in_hand"])


@pytest.mark.parametrize(
    ("policy", "failures", "seconds"),
    [("fail", 99, 1), ("block", 99, 1), (Retry(keep="key", first=timedelta(seconds=1)), 2, 5)],
    ids=["stops", "waits", "parked and tried again"],
)
def test_nothing_is_in_hand_while_brokers_are_waited_for(
    tmp_path: Path, policy: Policy, failures: int, seconds: int
) -> None:
    """A process that is killed in the commit behind a failed record was not killed by that record."""
    log = Cluster({("in", 0): [(n, b"k", b"%d" % n, n) for n in range(8)]})
    made = Pipeline("p", on_error=policy)
    made.stream(Topic("in", key=str, value=str)).map(Flaky({4: failures}), name="try").map(str, name="show").to(
        Topic("out", key=str, value=str)
    )
    spy = HeldAtCommit(tmp_path / "w.json")
    with AttemptLedger(spy.file) as attempts, suppress(OperatorMustDecide):
        run = running(log, made, told=lambda _: spy, attempts=attempts)
        for _ in range(10 * seconds):
            run.worker.step()
            run.clock.now_s += 0.1
    assert (log.position_of(("in", 0)) or 0) >= 4
    assert len(log.values("out")) == (4 if failures == 99 else 8)
    assert set(map(str, spy.held)) == {"None"}
