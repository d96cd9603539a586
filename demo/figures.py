"""What the live view shows of a producer or pipeline: figures out of the broker's files, and what the demo did to it.

Nothing is asked of the processes themselves, which are killed all the time; the broker knows what they have achieved.

    records           a producer's: rows that are records or dead letters; a pipeline's: input that its group is behind
    lag               what is left of them
    transactions      committed ones, and aborted ones, by the coordinator's log
    dead letters      committed records of the dead-letter topics
    processes         that live
    restarts          by the demo, each after a SIGKILL
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from demo.broker_files import TopicFiles
from demo.coordinator_log import CoordinatorLog

Partition = tuple[str, int]


class Status(Enum):
    """What an actor is at, in the order of its life; killed and coming back as often as it is killed."""

    WAITING = "waiting"
    STARTING = "starting"
    WORKING = "working"
    KILLED = "killed"
    COMING_BACK = "coming back"
    DONE = "done"


class Actor:
    """A producer or pipeline as the demo starts and kills it.

    Attributes:
        name: of the producer or pipeline.
        status: what it is at.
        processes: of it that live.
        restarts: starts after a SIGKILL.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = Status.WAITING
        self.processes = 0
        self.restarts = 0
        self._dead = 0

    def started(self) -> None:
        """A process of it was started: a further one, or one in the place of one that was killed."""
        if self.processes == 0:
            self.status = Status.COMING_BACK if self._dead else Status.STARTING
        self.processes += 1
        if self._dead:
            self._dead -= 1
            self.restarts += 1

    def killed(self) -> None:
        """A process of it was killed with SIGKILL."""
        self.processes -= 1
        self._dead += 1
        if self.processes == 0:
            self.status = Status.KILLED

    def stopped(self) -> None:
        """A process of it has left in order, and others go on."""
        self.processes -= 1

    def done(self) -> None:
        """It has come to its end."""
        self.processes = 0
        self.status = Status.DONE


@dataclass(frozen=True, slots=True)
class Figures:
    """One actor at one moment."""

    name: str
    status: Status
    processes: int
    restarts: int
    records: int
    total: int
    records_per_s: float
    transactions: int
    aborted: int
    dead_letters: int

    @property
    def lag(self) -> int:
        """Records to go."""
        return max(0, self.total - self.records)


class Gauge(Protocol):
    """Tells how far an actor is."""

    @property
    def transactional_ids(self) -> Sequence[str]:
        """Whose transactions are its."""
        ...

    def look(self) -> tuple[int, int, int]:
        """(records, of how many, dead letters)."""
        ...


class ProducerGauge:
    """Of a producer: its topic and its dead-letter topic against the rows of its file."""

    def __init__(self, log_directory: Path, topic: str, transactional_id: str, rows: int) -> None:
        self.transactional_ids = (transactional_id,)
        self._topic = TopicFiles(log_directory, topic)
        self._dead_letters = TopicFiles(log_directory, f"dlq.{topic}")
        self._rows = rows

    def look(self) -> tuple[int, int, int]:
        """See `Gauge`."""
        self._topic.look()
        self._dead_letters.look()
        dead = self._dead_letters.committed
        return self._topic.committed + dead, self._rows, dead


class PipelineGauge:
    """Of a pipeline: the records of its inputs that its group's committed offsets are behind."""

    def __init__(
        self,
        log_directory: Path,
        inputs: Sequence[str],
        dead_letter_topics: Sequence[str],
        transactional_ids: Sequence[str],
        committed: Callable[[], Mapping[Partition, int]],
    ) -> None:
        self.transactional_ids = transactional_ids
        self._inputs = {topic: TopicFiles(log_directory, topic) for topic in inputs}
        self._dead_letters = [TopicFiles(log_directory, topic) for topic in dead_letter_topics]
        self._committed = committed

    def look(self) -> tuple[int, int, int]:
        """See `Gauge`."""
        for files in (*self._inputs.values(), *self._dead_letters):
            files.look()
        records = sum(
            self._inputs[topic].partitions[partition].records_below(offset)
            for (topic, partition), offset in self._committed().items()
            if topic in self._inputs
        )
        total = sum(files.committed for files in self._inputs.values())
        return records, total, sum(files.committed for files in self._dead_letters)


class Board:
    """All actors with their figures.

    Args:
        log_directory: the broker's.
        actors: with how far each is.
        window_s: records per second are counted over so many seconds.
    """

    def __init__(self, log_directory: Path, actors: Sequence[tuple[Actor, Gauge]], window_s: float) -> None:
        self._coordinator = CoordinatorLog(log_directory)
        self._entries = [_Entry(actor, gauge, _Speed(window_s)) for actor, gauge in actors]

    def look(self) -> list[Figures]:
        """The figures of all actors now; those that wait are not looked at."""
        self._coordinator.look()
        return [self._figures(entry) for entry in self._entries]

    def _figures(self, entry: _Entry) -> Figures:
        status = entry.actor.status
        records, total, dead = (0, 0, 0) if status is Status.WAITING else entry.gauge.look()
        if status in {Status.STARTING, Status.COMING_BACK} and records > entry.at_start(records):
            status = Status.WORKING
        transactions = [self._coordinator.of(name) for name in entry.gauge.transactional_ids]
        return Figures(
            name=entry.actor.name,
            status=status,
            processes=entry.actor.processes,
            restarts=entry.actor.restarts,
            records=records,
            total=total,
            records_per_s=entry.speed.of(records),
            transactions=sum(each.committed for each in transactions),
            aborted=sum(each.aborted for each in transactions),
            dead_letters=dead,
        )


@dataclass(slots=True)
class _Entry:
    """An actor on the board, and what it had achieved when it was last started."""

    actor: Actor
    gauge: Gauge
    speed: _Speed
    starts: int = -1
    records: int = 0

    def at_start(self, records: int) -> int:
        """Records at the first look after its latest start."""
        if self.starts != self.actor.restarts:
            self.starts, self.records = self.actor.restarts, records
        return self.records


class _Speed:
    """How much a number grows in a second, over the last seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, number: int) -> float:
        now_s = time.monotonic()
        self._seen.append((now_s, number))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - self._window_s:
            self._seen.popleft()
        then_s, before = self._seen[0]
        return (number - before) / (now_s - then_s) if now_s > then_s else 0.0
