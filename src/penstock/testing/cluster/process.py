"""A process that uses the cluster: alive, silent, or dead; and what is to go wrong with its requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Mishap = Literal[
    "lost request",
    "lost answer",
    "late copy",
    "slow",
    "hang",
    "die before",
    "die behind",
    "die meanwhile",
    "leader stops before",
    "leader stops behind",
]
"""What becomes of a request.

* `lost request`: it never arrives; the client sends it again when its time is over.
* `lost answer`: it is done, the answer gets lost, and the client sends it again.
* `late copy`: the client hears nothing and sends it again, which works; the first copy arrives later.
* `slow`: it takes this long.
* `hang`: it is done, and nobody answers for this long.
* `die before`, `die behind`: the process is killed before the request arrives, or behind it.
* `die meanwhile`: the process is killed while it is under way, and it arrives this long afterwards.
* `leader stops before`, `leader stops behind`: the broker that it goes to stops for this long, before it arrives, or
  behind it, with the answer unsent; the client sends it again, to whoever leads then.
"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A mishap that is planned.

    Attributes:
        what: see there.
        seconds: how long it takes; of a request that arrives late, when; of a broker that stops, for how long.
    """

    what: Mishap
    seconds: float = 0.0


class ProcessDied(BaseException):
    """The process was killed: nothing of it goes on. No `Exception`, for nobody may handle it."""


class Process:
    """One process.

    Args:
        name: for messages.

    Attributes:
        is_alive: False once it was killed.
        is_silent: it sends no heartbeats: it stands still, or is dead.
        silences: how often that has begun.
        requests: how many it has sent, by name.
        troubles: {(name, how manyeth of them, from 1): what becomes of that request}.
        hangs_until_s: {name of requests that are not answered: until when}.
        lags: {broker: (how long each request to it takes, and until when)}.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.is_silent = False
        self.silences = 0
        self.requests: Counter[str] = Counter()
        self.troubles: dict[tuple[str, int], Trouble] = {}
        self.hangs_until_s: dict[str, float] = {}
        self.lags: dict[int, tuple[float, float]] = {}

    def check(self) -> None:
        """Go on only if it is alive.

        Raises:
            ProcessDied: it is not.
        """
        if not self.is_alive:
            raise ProcessDied(self.name)
