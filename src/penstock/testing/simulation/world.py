"""Plays a scenario: input trickles in, workers are stepped in a random order, and what is planned goes wrong.

All in one thread. A worker that stands still lets the others work from within its own step, so that it wakes up in the
middle of what it was about to do, long overtaken.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from penstock.errors import DuplicateIdentity, OperatorMustDecide, OutcomeUnknown, PenstockError, TransactionAborted
from penstock.kafka.client import Connection
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.worker import SimulatedWorker
from penstock.testing.simulation.disturbance import disturb
from penstock.testing.simulation.feed import Feed
from penstock.testing.simulation.finding import Finding, findings
from penstock.testing.simulation.progress import Progress
from penstock.testing.simulation.scenario import Fault, Scenario
from penstock.testing.simulation.shape import IN, PIPELINE, TABLE
from penstock.topology.topology import Topology

TRANSACTION_TIMEOUT_MS: Final = 4_000
TRANSACTION_BUDGET_MS: Final = 3_000
SESSION_TIMEOUT_MS: Final = 2_000
_HEARTBEAT_S: Final = 0.25
_CHECKPOINT_S: Final = 0.5
_PURGE_S: Final = 1.0
_MOST_STEPS: Final = 30_000
"""Against going round for ever. Of 155,000 seeds one took 6,300: every record failed six times and held up its task."""
_PATIENCE_S: Final = 60.0
"""So long nothing may move while there is work: longer than any time-out, or all of them in a row."""
_ABSENCE_S: Final = (0.1, 1.0, 3.0)
_MOST_NESTED: Final = 3
_BROKERS: Final = 3
_END_S: Final = 10.0
"""So long after the last step every transaction is over: its time-out, and a coordinator that has to move first."""
_MEMORY: Final = "/dev/shm"  # noqa: S108 - a temporary folder of an unguessable name is made in it


class PlannedFailure(Exception):
    """What a scenario lets a worker run into; nobody knows of it."""


@dataclass(slots=True)
class Played:
    """What came of a scenario.

    Attributes:
        findings: what is wrong; empty = nothing.
        happened: {(action, step or request): how often}, of what really took place.
        aborts: transactions that workers discarded.
        rotations: producers that were replaced because of a doubt.
        lives: of workers.
        seconds: on the cluster's clock.
        cluster: as it was left.
    """

    findings: list[Finding]
    happened: Counter[tuple[str, str]]
    aborts: int
    rotations: int
    lives: int
    seconds: float
    cluster: SimulatedCluster


@dataclass(slots=True)
class _Place:
    """Where a worker lives, from one life to the next."""

    number: int
    folder: Path
    faults: list[Fault]
    seen: Counter[str] = field(default_factory=Counter[str])
    worker: SimulatedWorker | None = None
    returns_at_s: float = 0.0
    is_to_stop: bool = False


def play(scenario: Scenario) -> Played:
    """Play it and judge; the same scenario gives the same result, log for log."""
    with TemporaryDirectory(prefix="penstock-simulation-", dir=_in_memory()) as folder, _quiet():
        world = _World(scenario, Path(folder))
        try:
            world.run()
            return world.judged()
        finally:
            world.close()


def _in_memory() -> str | None:
    """Where checkpoints cost no disk; None = there is no such place."""
    return _MEMORY if Path(_MEMORY).is_dir() else None


@contextmanager
def _quiet() -> Generator[None]:
    """The engine's log is about planned faults, thousands of them."""
    logger = logging.getLogger("penstock")
    before = logger.disabled, logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before[1])


class _World:
    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.cluster = SimulatedCluster(scenario.seed, brokers=_BROKERS)
        self.happened: Counter[tuple[str, str]] = Counter()
        self._chance = Random(scenario.seed + 1)  # noqa: S311 - a schedule, not a secret
        self._folder = folder
        self._topology: Topology = scenario.shape.build().topology()
        self._lives = 0
        self._aborts = 0
        self._rotations = 0
        self._steps = 0
        self._nested = 0
        self._failures: list[Finding] = []
        self._feed = Feed(self.cluster, scenario, self._chance)
        self._progress = Progress(self.cluster, self._topology)
        self._places = [
            _Place(number, folder / f"{number}", [f for f in scenario.faults if f.worker == number])
            for number in range(scenario.workers)
        ]
        self.cluster.cleaner.begin(Random(scenario.seed + 2))  # noqa: S311 - likewise
        self.cluster.consumer_groups.session_timeout_s = SESSION_TIMEOUT_MS / 1000
        self.cluster.consumer_groups.heartbeat_s = _HEARTBEAT_S
        shape = scenario.shape
        self.cluster.create(IN, shape.partitions)
        if shape.joins:
            self.cluster.create(TABLE, shape.partitions, {"cleanup.policy": "compact"})
            for key in range(0, scenario.keys, 2):
                self.cluster.append(TABLE, f"{key}".encode(), f"t{key}".encode(), timestamp_ms=1)

    # ------------------------------------------------------------ the course of things

    def run(self) -> None:
        """Until everything is dealt with, or it takes too long, or it cannot go on."""
        clock, before, moved_at_s = self.cluster.clock, (0, 0, 0), 0.0
        while not (self._failures or self._is_over()):
            now = self._feed.left, self._progress.committed(), self._progress.transactions()
            if now != before:
                before, moved_at_s = now, clock.monotonic_s()
            if self._steps > _MOST_STEPS or clock.monotonic_s() > moved_at_s + _PATIENCE_S:
                self._failures.append(Finding("stands still", f"after {self._steps} steps: {self._progress.left()}"))
                return
            self._feed.some()
            self._step_one()

    def judged(self) -> Played:
        """Let every transaction come to its end, then look."""
        for place in self._places:
            if place.worker is not None:
                self._account(place.worker)
                self.cluster.kill(place.worker.process)
        self.cluster.clock.sleep(TRANSACTION_TIMEOUT_MS / 1000 + _END_S)
        found = [*findings(self.cluster, self.scenario), *self._failures]
        for happening in self.cluster.happenings:
            self.happened[happening.what, happening.request] += 1
        return Played(
            found,
            self.happened,
            self._aborts,
            self._rotations,
            self._lives,
            self.cluster.clock.monotonic_s(),
            self.cluster,
        )

    def close(self) -> None:
        """Let go of files."""
        for place in self._places:
            if place.worker is not None:
                place.worker.kill()

    def _step_one(self) -> None:
        self._steps += 1
        free = [place for place in self._places if place.worker is None or not place.worker.is_busy]
        if not free:
            self.cluster.clock.sleep(0.1)
            return
        place = self._chance.choice(free)
        if place.worker is None:
            if self.cluster.clock.monotonic_s() >= place.returns_at_s:
                self._start(place)
            else:
                self.cluster.clock.sleep(0.05)
            return
        if place.is_to_stop:
            place.is_to_stop = False
            place.worker.stop()
        else:
            place.worker.step()
        self._look_after(place)

    def _start(self, place: _Place) -> None:
        self._lives += 1
        around = WorkerSurroundings(
            Connection("simulated"),
            None,
            place.folder,
            instance=f"{place.number}",
            guarantee=self.scenario.guarantee,
            limits=WorkerLimits(max_batch_records=self.scenario.max_batch_records),
            checkpoint_interval_s=_CHECKPOINT_S,
            purge_interval_s=_PURGE_S,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            transaction_budget_ms=TRANSACTION_BUDGET_MS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            group_protocol=self.scenario.protocol,
            static_membership=self.scenario.is_static,
        )
        place.worker = worker = SimulatedWorker(self.cluster, self._topology, around)
        for fault in place.faults:
            left = fault.nth - place.seen[fault.step]
            if left > 0:
                self._plan(place, worker, fault, left)
        worker.start()
        self._look_after(place)

    def _look_after(self, place: _Place) -> None:
        """What a supervisor does: a worker that has ended is started again, unless it must not be."""
        worker = place.worker
        if worker is None or worker.is_alive:
            return
        self._account(worker)
        place.seen += worker.hooks.seen
        place.worker = None
        place.returns_at_s = self.cluster.clock.monotonic_s() + self._chance.choice(_ABSENCE_S)
        failure = worker.failure
        if isinstance(failure, OperatorMustDecide):
            self._failures.append(Finding("stopped", f"{worker.name}: {failure}"))
        elif failure is not None and not isinstance(failure, PlannedFailure | PenstockError):
            self._failures.append(Finding("broken", f"{worker.name}: {type(failure).__name__}: {failure}"))
        elif isinstance(failure, DuplicateIdentity):
            place.returns_at_s += 5.0  # whoever fenced it is gone by then

    def _account(self, worker: SimulatedWorker) -> None:
        self._aborts += len(worker.hooks.aborts)
        self._rotations += len(worker.hooks.rotations)

    # ------------------------------------------------------------ how far it is

    def _is_over(self) -> bool:
        if self._feed.left or self.cluster.transactions.open_ids or self._progress.left():
            return False
        workers = [place.worker for place in self._places]
        return all(w is not None and w.is_idle for w in workers) and not self._progress.parked()

    # ------------------------------------------------------------ trouble

    def _plan(self, place: _Place, worker: SimulatedWorker, fault: Fault, left: int) -> None:
        def happen() -> None:
            if not fault.request:  # what becomes of a request is noted by the network
                self.happened[fault.action, fault.step] += 1
            self._happen(place, worker, fault)

        worker.hooks.plans[fault.step, left] = happen

    def _happen(self, place: _Place, worker: SimulatedWorker, fault: Fault) -> None:
        match fault.action:
            case "kill" | "lose":
                lost = self._folder / f"{place.number}-{self._lives}"
                place.folder = lost if fault.action == "lose" else place.folder
                worker.die()
            case "stop":
                place.is_to_stop = True
            case "raise":
                raise PlannedFailure(fault.step)
            case "abort":
                raise TransactionAborted(f"planned at {fault.step}")
            case "doubt":
                raise OutcomeUnknown(f"planned at {fault.step}")
            case "pause" | "freeze":
                worker.stand_still(fault.seconds, self._others_work)
            case "overtake":
                self._overtake(worker, fault.seconds)
            case _:
                disturb(self.cluster, worker, fault, self._chance)

    def _overtake(self, worker: SimulatedWorker, seconds: float) -> None:
        self.cluster.rebalance(PIPELINE)
        behind = "committed", worker.hooks.seen["committed"] + 1
        worker.hooks.plans[behind] = partial(worker.stand_still, seconds, self._others_work)

    def _others_work(self, seconds: float) -> None:
        if self._nested >= _MOST_NESTED:
            return
        self._nested += 1
        until_s = self.cluster.clock.monotonic_s() + seconds
        try:
            while self.cluster.clock.monotonic_s() < until_s and not self._failures and self._steps < _MOST_STEPS:
                self._feed.some()
                self._step_one()
        finally:
            self._nested -= 1
