"""What every operator is, and what it is given when a task opens it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from penstock.batch import Batch, SourceBatch
from penstock.clock import Clock
from penstock.errors import BadRecord
from penstock.operators.topic_bounds import TopicBounds
from penstock.schemas.topic import BoundTopic
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState
from penstock.topology.node import AnyStore, Operation

K = TypeVar("K")
V = TypeVar("V")

AnyBatch = Batch[Any, Any]

Run = Callable[[AnyBatch], AnyBatch]
"""An opened operator: rows of the result stand in the order of the rows they came from."""

Fork = Callable[[AnyBatch], tuple[AnyBatch, ...]]
"""An opened operator with several ways out: one batch for each."""


@dataclass(frozen=True, slots=True)
class OpenTopic:
    """A topic that is there.

    Attributes:
        bound: its serdes, opened.
        partitions: how many it has.
        bounds: what it takes.
    """

    bound: BoundTopic[Any, Any]
    partitions: int
    bounds: TopicBounds = field(default_factory=TopicBounds)


class GlobalContent(Protocol):
    """What a global table holds now, for all tasks of a worker."""

    def find(self, keys: Sequence[Any]) -> list[Any]:
        """The values of these keys, each the caller's own; None where there is none.

        Raises:
            UndecodableRecord: the table's record under one of them cannot be read.
            RegistryUnavailable: retry the same call.
        """
        ...


class TaskContext:
    """What the operators of one task share: stores, sinks, time, and the source batch in hand.

    Args:
        pipeline: its name.
        group: the task group's name.
        partition: the task's.
        specs: the stores of the group.
        state: the task's.
        topics: {name: topic}, every topic of the group.
        clock: time.
        global_tables: {name of its node: content} of those that the group looks things up in.
    """

    def __init__(
        self,
        *,
        pipeline: str,
        group: str,
        partition: int,
        specs: Iterable[AnyStore],
        state: TaskState,
        topics: Mapping[str, OpenTopic],
        clock: Clock,
        global_tables: Mapping[str, GlobalContent] | None = None,
    ) -> None:
        self.pipeline, self.group, self.partition = pipeline, group, partition
        self.topics = topics
        self.global_tables = global_tables or {}
        self.clock = clock
        self.closers: list[Callable[[], None]] = []
        self.source = SourceBatch("", partition, [], [], [], [])
        # By place in the source batch, as the rows of every batch are.
        self.stream_times_ms: list[int] = []
        self._sequence: dict[int, int] = {}
        self._stores: dict[str, Store[Any, Any]] = {spec.name: Store(spec, state) for spec in specs}

    def store(self, spec: StoreSpec[K, V]) -> Store[K, V]:
        """The store of a spec that the group's nodes declare."""
        return cast("Store[K, V]", self._stores[spec.name])

    def begin(self, source: SourceBatch) -> None:
        """Take a source batch in hand."""
        self.source = source
        self._sequence.clear()

    def next_sequence(self, row: int) -> int:
        """0, 1, 2 ... for one record, whichever operators ask."""
        number = self._sequence.get(row, 0)
        self._sequence[row] = number + 1
        return number


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the graph an operator stands.

    Attributes:
        name: of its node.
        keys_must_stay: something behind it needs all records of one key in one task, without a repartition between.
    """

    name: str
    keys_must_stay: bool = False


class Operator(Operation):
    """An operation that can run."""

    @abstractmethod
    def open(self, task: TaskContext, place: Place) -> Run | Fork:
        """Make it ready for one task. What has to be closed is added to `task.closers`."""


def no_key(place: Place) -> BadRecord:
    """The failure of a record without a key where one is needed."""
    return BadRecord(f"'{place.name}' needs a key, and the record has none", reason="no_key")
