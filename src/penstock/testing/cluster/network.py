"""Requests between a process and the brokers: each takes a moment, and some meet with trouble.

A request goes to whoever leads what it is about. While nobody does, the client waits and asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from penstock.testing.cluster.brokers import Brokers, Seat
from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.process import Process, ProcessDied, Trouble
from penstock.testing.cluster.refusal import NotAnswered, Refusal

T = TypeVar("T")

LATENCY_S: Final = 0.0005
RESEND_S: Final = 0.6
"""After so long without an answer a client of ours sends a request again; the doubt rule notices 0.2 or 0.4."""
RESENDS_S: Final = {"add offsets": 0.3}
"""Sooner, when its connection ends: the doubt rule, which times the whole call, does not notice this one."""
LEADER_PAUSE_S: Final = 0.1
"""Between two looks for a new leader: `retry.backoff.ms`, by and large."""


class Network:
    """Carries requests.

    Args:
        clock: passes while a request is under way.
        brokers: where requests go.
        kill: ends a process.
        stop: ends a broker, for so many seconds.
        note: told of every mishap: process, request, what.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        brokers: Brokers,
        kill: Callable[[Process], None],
        stop: Callable[[int, float], None],
        note: Callable[[Process, str, Trouble], None],
    ) -> None:
        self._clock = clock
        self._brokers = brokers
        self._kill = kill
        self._stop = stop
        self._note = note

    def send(self, process: Process, name: str, handle: Callable[[], T], seat: Seat, timeout_s: float = 60.0) -> T:
        """Have a request handled by whoever leads `seat`.

        Raises:
            Refusal: what the broker says.
            NotAnswered: no answer within `timeout_s`; it may have been handled.
            ProcessDied: the process is dead, or dies on the way.
        """
        process.check()
        now_s = self._clock.monotonic_s()
        give_up_at_s = now_s + timeout_s
        if process.hangs_until_s and process.hangs_until_s.get(name, 0.0) > now_s:
            self._wait_for(process.hangs_until_s[name], timeout_s)
        process.requests[name] = number = process.requests[name] + 1
        trouble = process.troubles.pop((name, number), None) if process.troubles else None
        self._reach(process, seat, give_up_at_s)
        if trouble is None:
            self._clock.sleep(LATENCY_S)
            return handle()
        self._note(process, name, trouble)
        return self._in_trouble(process, name, handle, trouble, seat, give_up_at_s)

    def _reach(self, process: Process, seat: Seat, give_up_at_s: float) -> None:
        """Find the leader, and take the time that the connection to it takes."""
        while (leader := self._brokers.leader(seat)) is None:
            if self._clock.monotonic_s() >= give_up_at_s:
                raise NotAnswered
            self._clock.sleep(LEADER_PAUSE_S)
        if process.lags:
            takes_s, until_s = process.lags.get(leader, (0.0, 0.0))
            if self._clock.monotonic_s() < until_s:
                self._clock.sleep(takes_s)

    def _in_trouble(
        self,
        process: Process,
        name: str,
        handle: Callable[[], T],
        trouble: Trouble,
        seat: Seat,
        give_up_at_s: float,
    ) -> T:
        resend_s = RESENDS_S.get(name, RESEND_S)
        match trouble.what:
            case "die before" | "die behind" | "die meanwhile":
                self._end_process(process, handle, trouble)
            case "leader stops before" | "leader stops behind":
                self._end_leader(process, handle, trouble, seat, give_up_at_s)
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
                self._wait_for(until_s, give_up_at_s - self._clock.monotonic_s())
                return answered()
        return handle()

    def _wait_for(self, until_s: float, timeout_s: float) -> None:
        left_s = until_s - self._clock.monotonic_s()
        self._clock.sleep(min(left_s, timeout_s))
        if left_s > timeout_s:
            raise NotAnswered

    def _end_process(self, process: Process, handle: Callable[[], object], trouble: Trouble) -> None:
        if trouble.what == "die behind":
            _quietly(handle)
        elif trouble.what == "die meanwhile":
            self._clock.after(trouble.seconds, lambda: _quietly(handle))
        self._kill(process)
        raise ProcessDied(process.name)

    def _end_leader(
        self, process: Process, handle: Callable[[], object], trouble: Trouble, seat: Seat, give_up_at_s: float
    ) -> None:
        if trouble.what == "leader stops behind":
            _quietly(handle)
        leader = self._brokers.leader(seat)
        if leader is not None:
            self._stop(leader, trouble.seconds)
        self._clock.sleep(LEADER_PAUSE_S)
        self._reach(process, seat, give_up_at_s)


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
