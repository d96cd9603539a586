"""Keeps N worker processes of one pipeline alive, until it is told to stop or there is nothing left to keep alive.

One thread, one loop: 1. wait for output, a death, a signal or the next thing due; 2. look after the dead; 3. start whom
it is time to start; 4. kill who does not stop in time.

Nothing here is needed for correctness. A worker that is killed loses nothing, and so a supervisor that is killed loses
nothing either: its workers die with it (`parent.py`), and the next one starts them under the same identities.
"""

from __future__ import annotations

import logging
import random
import selectors
import signal
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from penstock.supervisor.deaths import FOR_GOOD, Deaths
from penstock.supervisor.lines import LineStream
from penstock.supervisor.wake import Wake
from penstock.supervisor.worker_process import Command, Place, WorkerProcess

LOGGER = logging.getLogger("penstock.supervisor")

_KILLED: Final = 128 + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class SupervisorRules:
    """How patient a supervisor is.

    Attributes:
        max_deaths: of all workers together within a minute; one more is a crash loop, which ends everything.
        grace_s: after a signal, workers have so long to commit and leave, and they keep to it themselves.
        kill_after_s: who is still there so long after that, or after a second signal, is killed.
    """

    max_deaths: int
    grace_s: float
    kill_after_s: float = 5.0


class Supervisor:
    """Runs the workers 0 to N-1. To be run on the main thread, once.

    Args:
        command: starts a worker.
        workers: how many.
        rules: see there.
        name_of: a worker's name for the log, given its number.
        dice: for delays.
    """

    def __init__(
        self,
        command: Command,
        workers: int,
        rules: SupervisorRules,
        *,
        name_of: Callable[[int], str] = str,
        dice: random.Random | None = None,
    ) -> None:
        self._workers = [WorkerProcess(number, command) for number in range(workers)]
        self._rules = rules
        self._name_of = name_of
        # Jitter keeps nothing secret.
        self._deaths = Deaths(rules.max_deaths, dice or random.Random())  # noqa: S311
        self._selector = selectors.DefaultSelector()
        self._streams: dict[int, tuple[LineStream, ...]] = {}
        self._signals = 0
        self._told_signals = 0
        self._kill_at_s: float | None = None
        self._codes: list[int] = []
        self._loop_code: int | None = None

    def run(self) -> int:
        """Keep them alive; the exit code for this process once none is left.

        0 after a signal that all have followed in order, else the gravest code of a worker: that of those which were
        not started again before 137, of one that had to be killed. In a crash loop that of the last death.
        """
        with Wake() as wake, self._selector, _handling(self._on_signal):
            self._selector.register(wake, selectors.EVENT_READ)
            try:
                while self._is_needed():
                    self._wait(wake)
                    self._look_after_the_dead()
                    self._start_those_due()
                    self._kill_the_late()
            finally:  # nobody is left, unless something was raised
                for worker in self._workers:
                    worker.kill()
        return self._code()

    # ------------------------------------------------------------ 1. wait

    def _is_needed(self) -> bool:
        # Nobody who waits is started any more once a signal has come.
        living = (Place.RUNNING,) if self._is_stopping else (Place.RUNNING, Place.WAITING)
        return any(worker.place in living for worker in self._workers)

    def _wait(self, wake: Wake) -> None:
        due_s = [worker.start_at_s for worker in self._workers if worker.place is Place.WAITING]
        if self._is_stopping:
            due_s = [] if self._kill_at_s is None else [self._kill_at_s]
        timeout_s = max(0.0, min(due_s) - time.monotonic()) if due_s else None
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is wake:
                wake.drain()
            else:
                stream: LineStream = key.data
                if not stream.pump():
                    self._selector.unregister(stream.source)
        if self._signals > self._told_signals:
            self._told_signals = self._signals
            LOGGER.info("stopping%s", "" if self._signals == 1 else " at once")

    # ------------------------------------------------------------ 2. the dead

    def _look_after_the_dead(self) -> None:
        for worker in self._workers:
            if worker.has_died():
                self._finish_streams(worker)
                self._judge(worker)

    def _finish_streams(self, worker: WorkerProcess) -> None:
        for stream in self._streams.pop(worker.number):
            if stream.source in self._selector.get_map():
                self._selector.unregister(stream.source)
            stream.finish()
        worker.bury()

    def _judge(self, worker: WorkerProcess) -> None:
        place = {"worker": self._name_of(worker.number)}
        if self._is_stopping:
            self._codes.append(worker.exit_code)
            LOGGER.info("worker %s", worker.told(), extra=place)
            return
        if worker.exit_code in FOR_GOOD:
            self._codes.append(worker.exit_code)
            LOGGER.error("worker %s, and is not started again: the next would too", worker.told(), extra=place)
            return
        self._start_again_later(worker, worker.told())

    def _start_again_later(self, worker: WorkerProcess, told: str) -> None:
        now_s = time.monotonic()
        self._deaths.note(worker.number, now_s)
        if self._deaths.is_loop:
            self._give_up(worker, told)
            return
        delay_s = self._deaths.delay_s(worker.number)
        worker.start_again(now_s + delay_s)
        place = {"worker": self._name_of(worker.number)}
        LOGGER.warning("worker %s; the next is started in %.1f s", told, delay_s, extra=place)

    def _give_up(self, worker: WorkerProcess, told: str) -> None:
        LOGGER.error(
            "%d deaths of workers within a minute: all are stopped. The last %s, and its last words were: %s",
            self._deaths.count,
            told,
            " | ".join(worker.last_words) or "none",
            extra={"worker": self._name_of(worker.number)},
        )
        self._loop_code = worker.exit_code
        self._stop(signal.SIGTERM)

    # ------------------------------------------------------------ 3. start

    def _start_those_due(self) -> None:
        for worker in self._workers:
            if self._is_stopping:
                return
            if worker.place is Place.WAITING and worker.start_at_s <= time.monotonic():
                self._start(worker)

    def _start(self, worker: WorkerProcess) -> None:
        try:
            streams = worker.start()
        except OSError as err:  # no memory, too many processes: what a dead worker waits for helps here too
            self._start_again_later(worker, f"could not be started ({err.strerror})")
            return
        self._streams[worker.number] = streams
        for stream in streams:
            self._selector.register(stream.source, selectors.EVENT_READ, stream)
        if self._is_stopping:  # the signal came when there was no process yet to pass it on to
            worker.signal(signal.SIGTERM)
        LOGGER.info("worker is process %d", worker.pid, extra={"worker": self._name_of(worker.number)})

    # ------------------------------------------------------------ 4. stop

    @property
    def _is_stopping(self) -> bool:
        return self._signals > 0 or self._loop_code is not None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Runs between any two instructions, so that a blocked terminal holds up no signal; must not log."""
        self._signals += 1
        self._stop(number)

    def _stop(self, number: int) -> None:
        grace_s = self._rules.grace_s if self._signals < 2 else 0.0
        self._kill_at_s = time.monotonic() + grace_s + self._rules.kill_after_s
        for worker in self._workers:
            if self._signals > 2:
                worker.kill()
            else:
                worker.signal(number)

    def _kill_the_late(self) -> None:
        if self._kill_at_s is None or time.monotonic() < self._kill_at_s:
            return
        self._kill_at_s = None
        for worker in self._workers:
            if worker.place is Place.RUNNING:
                LOGGER.warning(
                    "worker has not stopped in time and is killed; nothing is lost",
                    extra={"worker": self._name_of(worker.number)},
                )
                worker.kill()

    def _code(self) -> int:
        if self._loop_code is not None:
            return self._loop_code
        return _gravest(self._codes)


def _gravest(codes: Iterable[int]) -> int:
    there = set(codes)
    for code in (*FOR_GOOD, _KILLED):
        if code in there:
            return int(code)
    return max(there, default=0)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """SIGINT and SIGTERM go to the handler; SIGCHLD only wakes."""
    handlers = {signal.SIGINT: handler, signal.SIGTERM: handler, signal.SIGCHLD: lambda _number, _frame: None}
    before = {number: signal.signal(number, each) for number, each in handlers.items()}
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)
