"""Circuit breakers: where too much fails, the task pauses instead of filling the dead-letter topic.

```
              too many dead letters                      pause over
   CLOSED ─────────────────────────────► OPEN ─────────────────────────► HALF OPEN
     ▲                                    ▲                                 │   │
     │                                    └──── the probe fails: longer ────┘   │
     └───────────────────────────────────────── the probe goes well ────────────┘
```

In memory, one for each task: another worker that takes over begins closed. What was dead-lettered before it opened
stays so; nothing is lost by an open one but time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from penstock.clock import Clock
from penstock.runtime.breaker_state import BreakerState
from penstock.runtime.staged import DeadRecord
from penstock.runtime.task import TaskId
from penstock.topology.policy import CircuitBreaker

_LONGEST: Final = 10
"""So many times the first pause at most."""


@dataclass(slots=True)
class _Breaker:
    """Of one task.

    Attributes:
        since_s: when the window began.
        records: in it.
        dead: of these.
        in_a_row: dead letters without a good record between, up to now.
        openings: in a row.
        is_probing: half open.
    """

    since_s: float
    records: int = 0
    dead: int = 0
    in_a_row: int = 0
    openings: int = 0
    is_probing: bool = False


@dataclass(slots=True)
class Breakers:
    """Those of a worker's tasks.

    Args:
        settings: when they open; None = never.
        clock: time.
    """

    settings: CircuitBreaker | None
    clock: Clock
    _breakers: dict[TaskId, _Breaker] = field(default_factory=dict[TaskId, _Breaker])

    def max_records(self, task: TaskId) -> int | None:
        """How many records the task's next batch may have; None = as usual."""
        breaker = self._breakers.get(task)
        return None if self.settings is None or breaker is None or not breaker.is_probing else self.settings.probe

    def state(self, task: TaskId, *, is_open: bool) -> BreakerState:
        """What the task's breaker does, given whether the task pauses for it now."""
        if is_open:
            return BreakerState.OPEN
        return BreakerState.CLOSED if self.max_records(task) is None else BreakerState.HALF_OPEN

    def note(self, task: TaskId, records: int, dead: list[DeadRecord]) -> float | None:
        """A batch of so many records is dealt with. How long the task is to pause now, seconds; None = not at all.

        Args:
            task: the task.
            records: dead ones included.
            dead: of these, in order; their places are those in the batch.
        """
        settings = self.settings
        if settings is None or not records:
            return None
        now_s = self.clock.monotonic_s()
        breaker = self._breakers.setdefault(task, _Breaker(now_s))
        if now_s - breaker.since_s > settings.window.total_seconds():
            breaker.since_s, breaker.records, breaker.dead = now_s, 0, 0
        breaker.records += records
        breaker.dead += len(dead)
        longest = self._runs(breaker, records, dead)
        if breaker.is_probing:
            return self._probed(breaker, settings, is_bad=2 * len(dead) >= records)
        too_many = settings.consecutive is not None and longest >= settings.consecutive
        share = breaker.records >= settings.least and breaker.dead >= settings.ratio * breaker.records
        return self._open(breaker, settings) if too_many or share else None

    def _runs(self, breaker: _Breaker, records: int, dead: list[DeadRecord]) -> int:
        """The longest run of dead letters that ends in this batch."""
        longest, last = 0, -1
        for each in dead:
            breaker.in_a_row = breaker.in_a_row + 1 if each.place == last + 1 else 1
            longest, last = max(longest, breaker.in_a_row), each.place
        if last < records - 1:
            breaker.in_a_row = 0
        return longest

    def _probed(self, breaker: _Breaker, settings: CircuitBreaker, *, is_bad: bool) -> float | None:
        if is_bad:
            return self._open(breaker, settings)
        breaker.is_probing = False
        breaker.openings = breaker.records = breaker.dead = 0
        return None

    def _open(self, breaker: _Breaker, settings: CircuitBreaker) -> float:
        pause_s = settings.pause.total_seconds() * float(min(_LONGEST, 2**breaker.openings))
        breaker.openings += 1
        breaker.is_probing = True
        breaker.records = breaker.dead = breaker.in_a_row = 0
        return pause_s
