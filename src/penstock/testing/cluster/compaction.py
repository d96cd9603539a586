"""Compaction, as the brokers' log cleaner does it: of each key the last record stays.

```
 offsets   0     1     2     3     4     5     6     7     8     9
           a=1   b=1   a=2   ~a=3  b=-   (C)   a=4 │ b=2   a=5   …     ~ aborted, - tombstone, (C) marker
 cleaned   ·     ·     ·     ·     b=-   (C)   a=4 │ b=2   a=5   …
                        the active segment ────────┘  or what is not decided yet: as it is
```

What the active segment holds does not count for the rest: a key's last record below it stays beside that. A tombstone
stays for `delete.retention.ms` from the pass that finds it the last of its key (KIP-534). Offsets stay as they are, so
that a reader sees gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Final, Protocol

from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.partition import SimulatedPartition

EVERY_S: Final = (0.3, 4.0)
"""Between two passes, where chance says how long. A broker's cleaner looks every 15 s (`log.cleaner.backoff.ms`)."""

ACTIVE_RECORDS: Final = (1, 1, 3, 20)
"""How many records the active segment has, where chance says so. It is never empty: the last record always stays."""


class Compacted(Protocol):
    """A topic, as far as the cleaner is concerned."""

    @property
    def config(self) -> Mapping[str, str]:
        """Its settings, defaults included."""
        ...

    @property
    def partitions(self) -> Iterable[SimulatedPartition]:
        """Its logs."""
        ...


class Cleaner:
    """Of all topics. It cleans when it is told to, or from `begin` on again and again.

    Args:
        clock: says when.
        topics: those that there are.

    Attributes:
        cleaned: how many records it has taken away.
    """

    def __init__(self, clock: SimulatedClock, topics: Callable[[], Iterable[Compacted]]) -> None:
        self._clock = clock
        self._topics = topics
        self.cleaned = 0

    def begin(self, chance: Random) -> None:
        """Clean from now on, as often and as far as chance will have it."""

        def look() -> None:
            self.clean(lambda: chance.choice(ACTIVE_RECORDS))
            self._clock.after(chance.uniform(*EVERY_S), look)

        self._clock.after(chance.uniform(*EVERY_S), look)

    def clean(self, active_records: Callable[[], int] = lambda: 1) -> None:
        """One pass over every topic that is compacted.

        Args:
            active_records: how many records the active segment of the next log has, at least one.
        """
        now_ms = self._clock.now_ms()
        for topic in self._topics():
            if "compact" in topic.config["cleanup.policy"].split(","):
                tombstones_stay_ms = int(topic.config["delete.retention.ms"])
                for log in topic.partitions:
                    active = max(1, active_records())
                    self.cleaned += log.compact(log.high_watermark - active, now_ms, tombstones_stay_ms)
