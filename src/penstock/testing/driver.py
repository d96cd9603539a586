"""A pipeline under test: fed with typed records, on a cluster in memory, with crashes and rebalances at will.

```python
def test_each_word_is_counted(driver: Driver) -> None:
    run = driver.start(pipeline)
    run.feed(WORDS, "river", key="a")
    run.crash(at="commit")
    run.feed(WORDS, "turbine", key="a")
    run.settle()
    assert run.values(COUNTS) == [1, 2]
```

The worker is the real one; only its clients are others. How-to: docs/how-to/test-a-pipeline.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from penstock.dsl.pipeline import Pipeline
from penstock.errors import UsageError
from penstock.protocols import SchemaRegistry
from penstock.record import Headers
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings
from penstock.schemas.topic import Topic
from penstock.testing.ground import Ground, SimulatedGround
from penstock.testing.memory_registry import MemoryRegistry
from penstock.testing.outcome import Outcome
from penstock.testing.stepped_worker import SteppedWorker
from penstock.testing.steps import RARE_STEPS, REQUESTS, STEPS
from penstock.testing.steps import Step as Step  # noqa: PLC0414 - users name it with the driver

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Driver:
    """Starts pipelines under test; the `driver` fixture is one.

    Attributes:
        state_directory: for the workers' locks and checkpoints.
        seed: of what is left to chance, such as the sizes of fetches and the order of late markers.
        registry: of schemas.
        ground: makes where the pipelines run, given the seed: a cluster in memory, or a Kafka.
    """

    state_directory: Path
    seed: int = 0
    registry: SchemaRegistry = field(default_factory=MemoryRegistry)
    ground: Callable[[int], Ground] = SimulatedGround
    _runs: list[Run] = field(default_factory=list["Run"])

    def __enter__(self) -> Self:
        """Itself; what it started is closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Close."""
        while self._runs:
            self._runs.pop().close()

    def start(
        self,
        pipeline: Pipeline,
        *,
        partitions: int | Mapping[str, int] = 1,
        workers: int = 1,
        limits: WorkerLimits | None = None,
    ) -> Run:
        """A cluster with the pipeline's source topics on it, and workers that run it.

        Args:
            pipeline: under test.
            partitions: of each topic of the user's that says nothing of its own; or {topic: how many}.
            workers: how many.
            limits: of batches and transactions; None = the defaults.

        Raises:
            ConfigurationError: as at the start of a worker on Kafka.
        """
        self._runs.append(Run(self, pipeline, partitions, limits or WorkerLimits()))
        self._runs[-1].begin(workers)
        return self._runs[-1]


class Run(Outcome):
    """One pipeline on one cluster. Nothing happens but in calls of these methods.

    Attributes:
        ground: where it runs, for whoever wants to look closer.
        workers: those that were started last, by their numbers.
    """

    def __init__(
        self,
        driver: Driver,
        pipeline: Pipeline,
        partitions: int | Mapping[str, int],
        limits: WorkerLimits,
    ) -> None:
        super().__init__(driver.ground(driver.seed), pipeline.topology(), driver.registry)
        self.workers: dict[int, SteppedWorker] = {}
        self._driver = driver
        self._group = f"{self.ground.prefix}{self._topology.name}"
        self._limits = limits
        self._create(partitions)

    def begin(self, workers: int) -> None:
        """Start so many workers, and let them take on their tasks; `Driver.start` has done so."""
        for _ in range(workers):
            self.join()
        self.settle()

    def _create(self, partitions: int | Mapping[str, int]) -> None:
        between = self._topology.repartition_topics
        everywhere = [node.source.topic for node in self._topology.global_tables if node.source is not None]
        for topic in (*self._topology.topics.values(), *everywhere):
            if topic.name not in between:
                wanted = partitions if isinstance(partitions, int) else partitions.get(topic.name, 1)
                self.ground.create(topic.name, topic.partitions or wanted, topic.config)

    # ------------------------------------------------------------ in

    def feed(
        self,
        topic: Topic[K, V],
        value: V | None,
        *,
        key: K | None = None,
        timestamp: datetime | int | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Write a record to a source topic; returns its partition and offset.

        Args:
            topic: as the pipeline declares it.
            value: None is a tombstone.
            key: decides the partition.
            timestamp: Kafka's; an aware datetime or milliseconds since 1970; None = now.
            headers: of the record.
            partition: instead of the key's.
        """
        bound = self._opened(topic)
        (key_bytes,), (value_bytes,) = bound.encode_keys([key]), bound.encode_values([value])
        return self.feed_bytes(
            topic, value_bytes, key=key_bytes, timestamp=timestamp, headers=headers, partition=partition
        )

    def feed_bytes(
        self,
        topic: Topic[Any, Any],
        value: bytes | None,
        *,
        key: bytes | None = None,
        timestamp: datetime | int | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> tuple[int, int]:
        """As `feed`, with the bytes as they are to stand in the log: for what no serde would write."""
        stamp_ms = round(timestamp.timestamp() * 1000) if isinstance(timestamp, datetime) else timestamp
        return self.ground.append(topic.name, key, value, partition=partition, timestamp_ms=stamp_ms, headers=headers)

    # ------------------------------------------------------------ time and work

    @property
    def now(self) -> datetime:
        """The workers' wall clock; in memory it begins on 2026-01-01 and moves only while somebody waits."""
        return datetime.fromtimestamp(self.ground.clock.now_ms() / 1000, UTC)

    def advance(self, duration: timedelta) -> None:
        """Let time pass with the workers at work."""
        self._work(duration.total_seconds())

    def _work(self, seconds: float) -> None:
        clock = self.ground.clock
        until_s = clock.monotonic_s() + seconds
        while clock.monotonic_s() < until_s and any(not worker.is_busy for worker in self.workers.values()):
            self.step()
        clock.sleep(max(0.0, until_s - clock.monotonic_s()))

    def step(self) -> None:
        """One step of each worker that is not in one; a worker that was killed is started again instead.

        Raises:
            Exception: what a worker has ended with.
        """
        for number, worker in list(self.workers.items()):
            if worker.is_busy:
                continue
            if worker.is_alive:
                worker.step()
            elif worker.failure is None:
                self._start(number)
            if worker.failure is not None:
                raise worker.failure

    def settle(self) -> None:
        """Work until everything that is there is dealt with and visible.

        Raises:
            Exception: what a worker has ended with, `OperatorMustDecide` where every task has stopped.
            AssertionError: it takes longer than ten minutes of the simulated clock, or one of the real one.
        """
        clock, patience_s = self.ground.clock, self.ground.patience_s
        until_s = clock.monotonic_s() + patience_s
        while not all(worker.is_idle for worker in self.workers.values()) or self._left():
            if clock.monotonic_s() > until_s:
                raise AssertionError(
                    f"after {patience_s:.0f} s there is still work: {self._left() or 'of the workers'}"
                )
            self.step()

    def _left(self) -> list[str]:
        prefix, between = self.ground.prefix, self._topology.repartition_topics
        topics = [topic.name for group in self._topology.groups.values() for topic in group.input_topics]
        names = [f"{prefix}{name}" if name in between else name for name in topics]
        places = [(name, number) for name in names for number in range(self.ground.partitions(name))]
        return self.ground.left(self._group, places)

    # ------------------------------------------------------------ trouble

    def crash(self, *, at: Step | None = None, worker: int = 0) -> None:
        """Kill a worker as `kill -9` does; it is started again with the next step.

        Args:
            at: when it reaches this step the next time; None = now.
            worker: its number.
        """
        found = self.workers[worker]
        self._now_or_at(worker, at, found.kill if at is None else found.die)

    def rebalance(self, *, at: Step | None = None, worker: int = 0) -> None:
        """Let the group's members join anew, as when one comes or goes."""
        self._now_or_at(worker, at, lambda: self.ground.rebalance(self._group))

    def fence(self, *, at: Step | None = None, worker: int = 0) -> None:
        """Let another producer take over the worker's `transactional.id`, as a second process of its name would."""
        name = self.workers[worker].name
        self._now_or_at(worker, at, lambda: self.ground.fence(name))

    def delay(self, seconds: float, *, at: Step, worker: int = 0) -> None:
        """Let the step take so long that its request is sent twice: the answer to the first comes too late.

        Args:
            seconds: until the first copy of the request arrives, behind the second.
            at: `init`, `produce`, `flush`, `send offsets` or `commit`: a step that sends something.
            worker: its number.

        Raises:
            UsageError: the step sends nothing.
        """
        self.ground.check("delay")
        if at not in REQUESTS:
            raise UsageError(f"step '{at}' sends nothing that could be late; one of {', '.join(REQUESTS)} does")
        found = self.workers[worker]
        self._now_or_at(worker, at, lambda: self.ground.late_copy(found, REQUESTS[at][0], seconds))

    def pause(self, duration: timedelta, *, at: Step, worker: int = 0) -> None:
        """Let a worker stand still at a step, as SIGSTOP does, while the others work. Not on a real Kafka."""
        self.ground.check("pause")
        found = self.workers[worker]
        self._now_or_at(worker, at, lambda: self.ground.stand_still(found, duration.total_seconds(), self._work))

    def join(self) -> int:
        """Start one more worker; returns its number."""
        number = max(self.workers, default=-1) + 1
        self._start(number)
        return number

    def leave(self, worker: int) -> None:
        """Stop a worker as SIGTERM does; it does not come back."""
        self.workers.pop(worker).stop()

    def close(self) -> None:
        """Stop all workers, and let go of what the cluster holds."""
        for number in list(self.workers):
            self.leave(number)
        self.ground.close()

    def _now_or_at(self, worker: int, at: str | None, action: Callable[[], None]) -> None:
        if at is None:
            action()
            return
        if at not in (*STEPS, *RARE_STEPS):
            raise UsageError(f"there is no step '{at}'; there are {', '.join((*STEPS, *RARE_STEPS))}")
        hooks = self.workers[worker].hooks
        hooks.plans[at, hooks.seen[at] + 1] = action

    def _start(self, number: int) -> None:
        around = WorkerSurroundings(
            self.ground.connection,
            self._driver.registry,
            self._driver.state_directory,
            prefix=self.ground.prefix,
            instance="driver",
            worker=number,
            limits=self._limits,
        )
        self.workers[number] = worker = self.ground.worker(self._topology, around)
        worker.start()
        if worker.failure is not None:
            raise worker.failure
