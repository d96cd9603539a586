"""What was read is deleted from repartition topics: nobody else reads them, and by themselves they keep everything.

Every so often, up to what each of this worker's tasks has committed, by a call that is not waited for. A call that
fails is counted and logged, and made good by the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from penstock.clock import Clock
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task

LOGGER = logging.getLogger("penstock.runtime")

INTERVAL_S: Final = 30.0


class Deletion(Protocol):
    """A call under way."""

    def outcome(self) -> Mapping[Partition, str | None] | None:
        """{partition: what went wrong, None = nothing}; None while it is under way."""
        ...


class Deleter(Protocol):
    """Deletes records; `kafka.record_deletion.RecordDeleter` on a real cluster."""

    def delete(self, before: Mapping[Partition, int]) -> Deletion:
        """Begin to delete everything below these offsets; returns at once."""
        ...


class Purge:
    """Purges the repartition topics that this worker's tasks read.

    Args:
        deleter: calls the brokers.
        topics: the repartition topics.
        clock: time.
        interval_s: between the end of one call and the next.

    Attributes:
        failures: partitions whose deletion has failed, counted each time.
    """

    def __init__(self, deleter: Deleter, topics: Collection[str], clock: Clock, interval_s: float = INTERVAL_S) -> None:
        self._deleter = deleter
        self._topics = frozenset(topics)
        self._clock = clock
        self._interval_s = interval_s
        self._due_at_s = clock.monotonic_s() + interval_s
        self._purged: dict[Partition, int] = {}
        self._asked: dict[Partition, int] = {}
        self._running: Deletion | None = None
        self.failures = 0

    def step(self, tasks: Iterable[Task]) -> None:
        """Begin a call if one is due, or look what became of the last one. Never waits, never raises."""
        if self._running is not None:
            self._look(self._running)
        elif self._topics and self._clock.monotonic_s() >= self._due_at_s:
            self._begin(tasks)

    def _begin(self, tasks: Iterable[Task]) -> None:
        # Only what this worker has seen committed. A worker that was replaced without knowing it asks for less than is
        # committed by now, never for more.
        self._asked = {
            partition: offset
            for task in tasks
            for partition, offset in task.committed.next_offsets.items()
            if partition[0] in self._topics and offset > self._purged.get(partition, 0)
        }
        self._due_at_s = self._clock.monotonic_s() + self._interval_s
        if self._asked:
            self._running = self._deleter.delete(self._asked)

    def _look(self, running: Deletion) -> None:
        outcome = running.outcome()
        if outcome is None:
            return
        self._running = None
        self._due_at_s = self._clock.monotonic_s() + self._interval_s
        for partition, error in outcome.items():
            if error is None:
                self._purged[partition] = self._asked[partition]
        failed = {partition: error for partition, error in outcome.items() if error is not None}
        if failed:
            self.failures += len(failed)
            (topic, number), error = next(iter(failed.items()))
            LOGGER.warning(
                "purging %s[%d] and %d other partitions failed (%s); nothing is lost, it is tried again in %.0f s",
                topic,
                number,
                len(failed) - 1,
                error,
                self._interval_s,
            )
