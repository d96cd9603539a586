"""A real worker that is opened, stepped and stopped by hand, one step at a time; what it ends with is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from penstock.testing.cluster.process import ProcessDied
from penstock.topology.topology import Topology


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
        self.seen[step] = times = self.seen[step] + 1
        plan = self.plans.pop((step, times), None) if self.plans else None
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


class SteppedWorker:
    """One life of a worker.

    Args:
        topology: what it runs.
        around: as for any worker.

    Attributes:
        name: its `transactional.id`.
        hooks: what it has reached.
        worker: None before `start` has come to its end, and after the end.
        failure: what it ended with; None = it lives, was killed or was asked to end.
        is_busy: whether it is in the middle of a step: another worker's, while this one stands still.
    """

    def __init__(self, topology: Topology, around: WorkerSurroundings) -> None:
        self.name = around.writer(topology)
        self.hooks = Steps()
        self.worker: Worker | None = None
        self.failure: Exception | None = None
        self.is_busy = False
        self._topology = topology
        self._around = around
        self._opened: AbstractContextManager[Worker] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it may still do something."""
        return self._opened is not None

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.worker is not None and self.worker.is_idle

    def start(self) -> None:
        """Open it; it may end on the way."""
        self._opened = opened(self._topology, self._around, self.hooks)
        self._guarded(self._enter)

    def _enter(self) -> None:
        assert self._opened is not None  # noqa: S101 - set by start
        self.worker = self._opened.__enter__()

    def step(self) -> None:
        """One step of its loop; what it ends with stands in `failure`."""
        if self.worker is not None:
            self._guarded(self.worker.step)

    def stop(self) -> None:
        """Ask it to end, as by SIGTERM: it commits what is done and leaves the group."""
        if self.worker is not None:
            self._guarded(self.worker.close)
        self._close()

    def kill(self) -> None:
        """Drop it: what it has begun is left open."""
        self._close()

    def die(self) -> None:
        """The same, from within one of its own steps.

        Raises:
            ProcessDied: always.
        """
        raise ProcessDied(self.name)

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
