"""Retention: what is too old or too much goes from the front of a log, whoever has read it or not.

As a broker does it: now and then it looks at every topic with `cleanup.policy=delete`, and age is what the records' own
timestamps say, not when they came. A broker deletes whole segments; here a segment is one record, which is the least
that any reader can rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.partition import SimulatedPartition

CHECK_INTERVAL_S: Final = 300.0
"""`log.retention.check.interval.ms`."""


class Kept(Protocol):
    """A topic, as far as retention is concerned."""

    @property
    def config(self) -> Mapping[str, str]:
        """Its settings, defaults included."""
        ...

    @property
    def partitions(self) -> Iterable[SimulatedPartition]:
        """Its logs."""
        ...


class Retention:
    """Looks at all topics, again and again.

    Args:
        clock: says when, and how old a record is.
        topics: those that there are.
    """

    def __init__(self, clock: SimulatedClock, topics: Callable[[], Iterable[Kept]]) -> None:
        self._clock = clock
        self._topics = topics
        self._later()

    def _later(self) -> None:
        self._clock.after(CHECK_INTERVAL_S, self._look)

    def _look(self) -> None:
        self.apply()
        self._later()

    def apply(self) -> None:
        """Delete what may not stay."""
        for topic in self._topics():
            if "delete" not in topic.config["cleanup.policy"].split(","):
                continue
            most_ms, most_bytes = int(topic.config["retention.ms"]), int(topic.config["retention.bytes"])
            for log in topic.partitions:
                if most_ms >= 0:
                    log.expire(self._clock.now_ms() - most_ms)
                if most_bytes >= 0:
                    log.shrink(most_bytes)
