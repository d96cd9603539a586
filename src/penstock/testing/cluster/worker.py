"""A real worker on a simulated cluster, stepped by hand, that dies or stands still where it is told to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import ParamSpec, TypeVar

from penstock.runtime.opening import WorkerSurroundings
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.stepped_worker import SteppedWorker
from penstock.topology.topology import Topology

P = ParamSpec("P")
T = TypeVar("T")


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


class SimulatedWorker(SteppedWorker):
    """One life of a worker, as a process of the cluster's.

    Args:
        cluster: where.
        topology: what it runs.
        around: as for a worker on Kafka; connection, clock, clients and executor are the cluster's.

    Attributes:
        process: the life that it is.
    """

    def __init__(self, cluster: SimulatedCluster, topology: Topology, around: WorkerSurroundings) -> None:
        self._cluster = cluster
        self.process = process = cluster.process(around.writer(topology))
        clients = SimulatedClients(cluster, process)
        super().__init__(topology, replace(around, clock=cluster.clock, clients=lambda _: clients, background=AtOnce))

    @property
    def is_alive(self) -> bool:
        """Whether it may still do something."""
        return self.process.is_alive and super().is_alive

    def kill(self) -> None:
        """As by SIGKILL."""
        self._cluster.kill(self.process)
        if not self.is_busy:
            super().kill()

    def die(self) -> None:
        """As by SIGKILL, from within one of its own steps.

        Raises:
            ProcessDied: always.
        """
        self._cluster.kill(self.process)
        super().die()

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
