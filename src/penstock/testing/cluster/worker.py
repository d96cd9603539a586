"""A real worker on a simulated cluster, stepped by hand, that dies or stands still where it is told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, ParamSpec, TypeVar

from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import ProcessDied
from penstock.topology.topology import Topology

P = ParamSpec("P")
T = TypeVar("T")

STEPS: Final = (
    "deploy",
    "deployed",
    "init",
    "poll",
    "restore",
    "load checkpoint",
    "takeover",
    "claim",
    "process",
    "begin",
    "produce",
    "changelog",
    "marks",
    "flush",
    "metadata",
    "send offsets",
    "commit",
    "committed",
    "apply",
    "checkpoint",
    "checkpoint write",
    "checkpoint sync",
    "checkpoint written",
)
"""The protocol's steps by the names that hooks are told, each right before it is taken."""


class Steps(WorkerHooks):
    """Counts steps, and does what is planned at one of them.

    Attributes:
        seen: how often each was reached.
        plans: {(step, how manyeth time, from 1): what is done there}.
        aborts: errors for which a transaction was discarded.
        rotations: why the producer was replaced.
        stops: errors for which tasks stand still.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.plans: dict[tuple[str, int], Callable[[], None]] = {}
        self.aborts: list[Exception] = []
        self.rotations: list[str] = []
        self.stops: list[Exception] = []

    def on_step(self, step: str) -> None:
        """Count it, and do what is planned."""
        self.seen[step] += 1
        plan = self.plans.pop((step, self.seen[step]), None)
        if plan is not None:
            plan()

    def on_abort(self, error: Exception) -> None:
        """Keep why."""
        self.aborts.append(error)

    def on_rotation(self, reason: str) -> None:
        """Keep why."""
        self.rotations.append(reason)

    def on_stop(self, task: str, error: Exception) -> None:
        """Keep why."""
        del task
        self.stops.append(error)


class AtOnce(Executor):
    """Does what it is given at once, on the caller's thread: nothing is left to threads."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it; what it raises stands in the future, but for a process that dies of it."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - the future's to tell
            future.set_exception(exc)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing is left."""


class SimulatedWorker:
    """One life of a worker.

    Args:
        cluster: where.
        topology: what it runs.
        around: as for a worker on Kafka; connection, clock, clients and executor are the cluster's.

    Attributes:
        process: the life that it is.
        hooks: what it has reached.
        worker: None before `start` has come to its end, and after the end.
        failure: what it ended with; None = it lives, was killed or was asked to end.
        is_busy: whether it is in the middle of a step: another worker's, while this one stands still.
    """

    def __init__(self, cluster: SimulatedCluster, topology: Topology, around: WorkerSurroundings) -> None:
        self._cluster = cluster
        self._topology = topology
        self.name = around.writer(topology)
        self.process = cluster.process(self.name)
        clients = SimulatedClients(cluster, self.process)
        self._around = replace(around, clock=cluster.clock, clients=lambda _: clients, background=AtOnce)
        self.hooks = Steps()
        self.worker: Worker | None = None
        self.failure: Exception | None = None
        self.is_busy = False
        self._opened: AbstractContextManager[Worker] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it may still do something."""
        return self.process.is_alive and self._opened is not None

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.worker is not None and self.worker.is_idle

    def start(self) -> None:
        """Open it; it may die on the way."""
        self._opened = opened(self._topology, self._around, self.hooks)
        self._guarded(self._enter)

    def _enter(self) -> None:
        assert self._opened is not None  # noqa: S101 - set by start
        self.worker = self._opened.__enter__()

    def step(self) -> None:
        """One step of its loop; whatever it ends with is kept in `failure`."""
        if self.worker is not None:
            self._guarded(self.worker.step)

    def stop(self) -> None:
        """Ask it to end, as by SIGTERM: it commits what is done and leaves the group."""
        if self.worker is not None:
            self._guarded(self.worker.close)
        self._close()

    def kill(self) -> None:
        """As by SIGKILL."""
        self._cluster.kill(self.process)
        if not self.is_busy:
            self._close()

    def die(self) -> None:
        """As by SIGKILL, from within one of its own steps.

        Raises:
            ProcessDied: always.
        """
        self._cluster.kill(self.process)
        raise ProcessDied(self.name)

    def stand_still(self, seconds: float, meanwhile: Callable[[float], None] | None = None) -> None:
        """As by SIGSTOP, from within one of its own steps; others may work meanwhile.

        Args:
            seconds: how long.
            meanwhile: lets others work for so many seconds; None = time passes, and nobody works.
        """
        wakes_at_s = self._cluster.clock.monotonic_s() + seconds
        self._cluster.freeze(self.process)
        if meanwhile is not None:
            meanwhile(seconds)
        self._cluster.clock.sleep(max(0.0, wakes_at_s - self._cluster.clock.monotonic_s()))
        self.process.check()
        self._cluster.thaw(self.process)

    def _guarded(self, work: Callable[[], None]) -> None:
        self.is_busy = True
        try:
            work()
        except ProcessDied:
            self._close()
        except Exception as exc:  # noqa: BLE001 - as a process that ends with an error; looked at by whoever steps it
            self.failure = exc
            self._close()
        finally:
            self.is_busy = False

    def _close(self) -> None:
        """Let go of everything; a dead process does nothing on the cluster any more."""
        ending, self._opened = self._opened, None
        entered, self.worker = self.worker, None
        if ending is not None and entered is not None:
            ending.__exit__(None, None, None)
