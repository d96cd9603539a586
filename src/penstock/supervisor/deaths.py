"""When a dead worker is started again, and when that is hopeless. Pure: time and dice come in as arguments."""

from __future__ import annotations

import random
from typing import Final

from penstock.errors import ExitCode

WINDOW_S: Final = 60.0
FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0
SPARE_DEATHS: Final = 4

FOR_GOOD: Final = (
    ExitCode.OPERATOR_MUST_DECIDE,
    ExitCode.DUPLICATE_IDENTITY,
    ExitCode.CONFIGURATION,
    ExitCode.USAGE,
)
"""Exit codes that would come back, or do harm, if the worker were started again; the gravest first."""


def allowed(workers: int) -> int:
    """Deaths in a minute that so many workers are allowed: each may die once at the same moment, and a few more."""
    return SPARE_DEATHS + workers


class Deaths:
    """The deaths of the last minute.

    They are counted over all workers, as Erlang's supervisors do: a record that kills whoever processes it goes from
    worker to worker, and no single one dies often.

    Args:
        most: more of them in a minute are a crash loop.
        dice: for the jitter, without which workers that died together would come back together.
    """

    def __init__(self, most: int, dice: random.Random) -> None:
        self._most = most
        self._dice = dice
        self._recent: list[tuple[float, int]] = []

    def note(self, worker: int, now_s: float) -> None:
        """One more."""
        self._recent = [(at_s, who) for at_s, who in self._recent if now_s - at_s < WINDOW_S]
        self._recent.append((now_s, worker))

    @property
    def count(self) -> int:
        """In the minute before the last one."""
        return len(self._recent)

    @property
    def is_loop(self) -> bool:
        """Whether starting again is hopeless."""
        return self.count > self._most

    def delay_s(self, worker: int) -> float:
        """How long to wait before this worker is started again: doubled with each of its deaths, then up to halved."""
        own = sum(who == worker for _, who in self._recent)
        longest_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (own - 1))
        return longest_s * self._dice.uniform(0.5, 1.0)
