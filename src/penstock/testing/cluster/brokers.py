"""The brokers: which of them leads a partition or coordinates a group or a transactional id, and what if it is down.

```
              stop                                  its absence is noticed, where it has not come back before
 it leads ──────────► nobody leads, nobody answers ─────────────────────────► the next one that is up leads
    ▲                                │ it comes back before that
    └────────────────────────────────┘
```

Everything is kept by three brokers where there are three, so that nothing is lost with one; while fewer than two of
them are up nothing is taken or told. Whoever leads goes on leading when another one comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal
from zlib import crc32

from penstock.testing.cluster.clock import SimulatedClock

Partition = tuple[str, int]
Seat = Partition | tuple[Literal["group", "transactions"], str]
"""What one broker leads at a time: a partition, or a coordinator, named by its group or transactional id."""

_REPLICAS: Final = 3


class Brokers:
    """Those of one cluster.

    Args:
        clock: for what takes its time.
        count: how many; their ids count from 1.
    """

    def __init__(self, clock: SimulatedClock, count: int = 1) -> None:
        self._clock = clock
        self._ids = tuple(range(1, count + 1))
        self._up = set(self._ids)
        self._down: set[int] = set()
        self._missed: set[int] = set()
        self._stops = dict.fromkeys(self._ids, 0)
        self._leaders: dict[Seat, int] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        """Of all, also of those that are down."""
        return self._ids

    @property
    def up(self) -> frozenset[int]:
        """Of those that are up."""
        return frozenset(self._up)

    @property
    def replicas(self) -> int:
        """How many brokers keep each partition."""
        return min(_REPLICAS, len(self._ids))

    def leader(self, seat: Seat) -> int | None:
        """Who answers for it now; None = nobody does."""
        leader = self._leaders.get(seat) or self._first(seat)
        if not self._down:  # which is asked for often
            return leader
        in_sync = len(self._up.intersection(self._kept_by(seat)))
        return leader if leader in self._up and in_sync >= (2 if self.replicas == _REPLICAS else 1) else None

    def stop(self, broker: int, *, for_s: float, noticed_after_s: float) -> None:
        """As `kill -9`, and a restart later.

        Args:
            broker: its id; one that is down already stays so for as long as was said then.
            for_s: how long it is down.
            noticed_after_s: so long nobody takes its place: the brokers' session time-out, or next to nothing where it
                is shut down in good order.
        """
        if broker not in self._up:
            return
        self._up.discard(broker)
        self._down.add(broker)
        self._stops[broker] = stop = self._stops[broker] + 1
        self._clock.after(noticed_after_s, lambda: self._notice(broker, stop))
        self._clock.after(for_s, lambda: self._return(broker))

    def _notice(self, broker: int, stop: int) -> None:
        if broker not in self._up and self._stops[broker] == stop:
            self._missed.add(broker)
            self._elect()

    def _return(self, broker: int) -> None:
        self._up.add(broker)
        self._down.discard(broker)
        self._missed.discard(broker)
        self._elect()

    def _elect(self) -> None:
        for seat in [seat for seat, leader in self._leaders.items() if leader in self._missed]:
            self._leaders[seat] = next((each for each in self._kept_by(seat) if each in self._up), self._leaders[seat])

    def _first(self, seat: Seat) -> int:
        """Who leads it from the beginning, which is when somebody first asks."""
        kept_by = list(self._kept_by(seat))
        self._leaders[seat] = leader = next((each for each in kept_by if each in self._up), kept_by[0])
        return leader

    def _kept_by(self, seat: Seat) -> Iterator[int]:
        """Its replicas, in the order in which they are to lead."""
        first = crc32(repr(seat).encode())
        count = len(self._ids)
        return (self._ids[(first + place) % count] for place in range(self.replicas))
