"""Time that passes only when somebody waits, and what happens while it does."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

START_MS: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


class SimulatedClock:
    """`Clock` for everything in a simulated cluster; waiting lets the cluster's own timers run.

    Args:
        start_ms: the wall clock at the beginning, milliseconds since 1970 UTC.
    """

    def __init__(self, start_ms: int = START_MS) -> None:
        self._start_ms = start_ms
        self._now_s = 0.0
        self._count = 0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []

    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970 UTC."""
        return self._start_ms + round(self._now_s * 1000)

    def monotonic_s(self) -> float:
        """Seconds since the beginning."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass; timers run in the order in which they are due."""
        until_s = self._now_s + seconds
        while self._timers and self._timers[0][0] <= until_s:
            self._run_next()
        self._now_s = max(self._now_s, until_s)

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Have something done once `delay_s` has passed; of two with the same time the first asked for goes first."""
        self._count += 1
        heappush(self._timers, (self._now_s + delay_s, self._count, call))

    def wait(self, timeout_s: float, is_over: Callable[[], bool]) -> bool:
        """Let time pass until `is_over`, which only timers can bring about; whether it came to that."""
        until_s = self._now_s + timeout_s
        while not is_over():
            if not self._timers or self._timers[0][0] > until_s:
                self._now_s = max(self._now_s, until_s)
                return False
            self._run_next()
        return True

    def _run_next(self) -> None:
        due_s, _, call = heappop(self._timers)
        self._now_s = max(self._now_s, due_s)
        call()
