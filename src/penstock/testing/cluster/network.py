"""Requests between a process and the brokers: each takes a moment, and some meet with trouble."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.process import Process, ProcessDied, Trouble
from penstock.testing.cluster.refusal import NotAnswered, Refusal

T = TypeVar("T")

LATENCY_S: Final = 0.0005
RESEND_S: Final = 0.6
"""After so long without an answer a client of ours sends a request again; the doubt rule notices 0.2 or 0.4."""
RESENDS_S: Final = {"add offsets": 0.3}
"""Sooner, when its connection ends: the doubt rule, which times the whole call, does not notice this one."""


class Network:
    """Carries requests.

    Args:
        clock: passes while a request is under way.
        kill: ends a process.
        note: told of every mishap: process, request, what.
    """

    def __init__(
        self, clock: SimulatedClock, kill: Callable[[Process], None], note: Callable[[Process, str, Trouble], None]
    ) -> None:
        self._clock = clock
        self._kill = kill
        self._note = note

    def send(self, process: Process, name: str, handle: Callable[[], T], timeout_s: float = 60.0) -> T:
        """Have a request handled.

        Raises:
            Refusal: what the broker says.
            NotAnswered: no answer within `timeout_s`; it may have been handled.
            ProcessDied: the process is dead, or dies on the way.
        """
        process.check()
        until_s = process.hangs_until_s.get(name, 0.0)
        if until_s > self._clock.monotonic_s():
            self._wait_for(until_s, timeout_s)
        process.requests[name] += 1
        trouble = process.troubles.pop((name, process.requests[name]), None)
        if trouble is None:
            self._clock.sleep(LATENCY_S)
            return handle()
        self._note(process, name, trouble)
        return self._in_trouble(process, name, handle, trouble, timeout_s)

    def _in_trouble(
        self, process: Process, name: str, handle: Callable[[], T], trouble: Trouble, timeout_s: float
    ) -> T:
        resend_s = RESENDS_S.get(name, RESEND_S)
        match trouble.what:
            case "die before":
                self._die(process)
            case "die behind":
                with suppress(Refusal):
                    handle()
                self._die(process)
            case "slow":
                self._clock.sleep(trouble.seconds)
            case "lost request":
                self._clock.sleep(resend_s)
            case "lost answer":
                with suppress(Refusal):
                    handle()
                self._clock.sleep(resend_s)
            case "late copy":
                self._clock.after(resend_s + trouble.seconds, lambda: _quietly(handle))
                self._clock.sleep(resend_s)
            case "hang":
                answered = _outcome(handle)
                process.hangs_until_s[name] = until_s = self._clock.monotonic_s() + trouble.seconds
                self._wait_for(until_s, timeout_s)
                return answered()
        return handle()

    def _wait_for(self, until_s: float, timeout_s: float) -> None:
        left_s = until_s - self._clock.monotonic_s()
        self._clock.sleep(min(left_s, timeout_s))
        if left_s > timeout_s:
            raise NotAnswered

    def _die(self, process: Process) -> None:
        self._kill(process)
        raise ProcessDied(process.name)


def _quietly(handle: Callable[[], object]) -> None:
    with suppress(Refusal):
        handle()


def _outcome(handle: Callable[[], T]) -> Callable[[], T]:
    """Do it now, tell later."""
    try:
        answer = handle()
    except Refusal as refusal:
        refused = refusal

        def refuse() -> T:
            raise refused

        return refuse
    return lambda: answer
