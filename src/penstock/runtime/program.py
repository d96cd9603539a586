"""One task group made ready for one task: a batch of bytes in, batches of bytes out.

Pure but for the task's state. Nothing here decides what becomes of a failure: that is `savepoint.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, cast

from penstock.batch import Batch, SourceBatch
from penstock.clock import Clock
from penstock.errors import BadRecord, UndecodableRecord
from penstock.operators.operator import AnyBatch, Fork, OpenTopic, Operator, Place, Run, TaskContext
from penstock.operators.to import RESERVED_HEADERS
from penstock.record import Headers
from penstock.runtime.route import OperatorFailed, Route, may_be_the_records, route_of
from penstock.runtime.staged import OutputBatch, Staged
from penstock.state.task_state import TaskState
from penstock.topology.groups import TaskGroup
from penstock.topology.node import Node

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A source batch, decoded.

    Attributes:
        source: as it was read.
        batch: what could be decoded; event times not yet known.
        failures: {place in the source batch: why}, with coordinates.
    """

    source: SourceBatch
    batch: AnyBatch
    failures: dict[int, UndecodableRecord]


class Program:
    """A task group, opened for one task.

    Args:
        group: what to run.
        topics: {name: topic} for every topic of the group.
        state: the task's; an empty one will do for a group without stores.
        clock: time, for processors.
        partition: the task's.

    Attributes:
        stream_time_ms: the latest event time seen, milliseconds since 1970 UTC; None before the first record. To be set
            when the task is restored.
    """

    def __init__(
        self, group: TaskGroup, topics: Mapping[str, OpenTopic], state: TaskState, clock: Clock, partition: int
    ) -> None:
        self.group = group
        self.stream_time_ms: int | None = None
        self._topics = topics
        self._nodes = {node.name: node for node in group.nodes}
        self._task = TaskContext(
            pipeline=group.pipeline,
            group=group.name,
            partition=partition,
            specs=group.stores,
            state=state,
            topics=topics,
            clock=clock,
        )
        self._routes: dict[str, Route] = {}

    def open(self) -> None:
        """Open the operators, processors among them. Once, before the first batch."""
        keyed = _above_keyed(self.group.nodes)
        opened: dict[str, Run | Fork] = {}
        for node in self.group.nodes:
            if isinstance(node.operation, Operator):
                opened[node.name] = node.operation.open(self._task, Place(node.name, node.name in keyed))
        for node in self.group.sources:
            if node.source is not None:
                self._routes[node.source.topic.name] = route_of(node, self.group.nodes, opened)

    def close(self) -> None:
        """Close the processors, those opened last first; all of them, whatever one of them raises.

        Raises:
            Exception: what the first of them raised.
        """
        failed: Exception | None = None
        while self._task.closers:
            try:
                self._task.closers.pop()()
            except Exception as err:  # noqa: BLE001 - user code; the others are to be closed nonetheless
                failed = failed or err
        if failed is not None:
            raise failed

    def source_of(self, topic: str) -> Node:
        """The node that reads this topic."""
        return self._routes[topic].source

    def node(self, name: str) -> Node:
        """The node of this name."""
        return self._nodes[name]

    def decode(self, source: SourceBatch) -> Decoded:
        """Decode keys and values.

        Raises:
            RegistryUnavailable: no record's fault; call again.
        """
        bound = self._topics[source.topic].bound
        keys, values = bound.decode_keys(source.keys), bound.decode_values(source.values)
        failures = {**values.failures, **keys.failures}
        for place, failure in failures.items():
            failure.at(source.topic, source.partition, source.offsets[place])
        batch: AnyBatch = Batch(
            list(range(len(source))),
            keys.values,
            values.values,
            source.timestamps_ms,
            source.timestamps_ms,
            None if source.headers is None else list(map(_without_ours, source.headers)),
        )
        if failures:
            batch = batch.take([place for place in batch.rows if place not in failures])
        return Decoded(source, batch, failures)

    def run(self, decoded: Decoded) -> Staged:
        """Run what was decoded on the state's batch overlay.

        Stream time moves only if everything succeeds.

        Raises:
            OperatorFailed: one of the records may be at fault; the overlay is to be dropped.
            PenstockError: no record's fault; likewise.
        """
        source, batch = decoded.source, decoded.batch
        if not batch.rows:
            return Staged()
        route = self._routes[source.topic]
        batch.event_times_ms = _event_times(route.source, batch)
        stream_times_ms = list(accumulate(batch.event_times_ms, max, initial=self.stream_time_ms))
        if self.stream_time_ms is not None:
            del stream_times_ms[0]
        self._task.begin(source)
        self._task.stream_times_ms = _by_place(stream_times_ms, batch.rows, len(source))
        written, filtered = route.execute(batch)
        self.stream_time_ms = stream_times_ms[-1]
        return Staged(
            [self._output(topic, one, source.partition) for topic, one in written.items() if one.rows],
            records=len(batch),
            filtered=filtered,
            event_time_ms=batch.event_times_ms[-1],
        )

    def _output(self, topic: str, batch: AnyBatch, source_partition: int) -> OutputBatch:
        partitions = None
        if None in batch.keys:
            # A random choice would differ from one cut of the input to another.
            chosen = source_partition % self._topics[topic].partitions
            partitions = [chosen if key is None else -1 for key in batch.keys]
        return OutputBatch(topic, batch.keys, batch.values, batch.timestamps_ms, partitions, batch.headers)


def _event_times(node: Node, batch: AnyBatch) -> list[int]:
    source = node.source
    if source is None or source.timestamp is None:
        return batch.timestamps_ms
    read = cast("Callable[[Any], Any]", source.timestamp)
    try:
        return [_milliseconds(read(value)) for value in batch.values]
    except Exception as err:  # user code may raise anything
        if may_be_the_records(err):
            raise OperatorFailed(node, err) from err
        raise


def _milliseconds(time: Any) -> int:
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise BadRecord("timestamp= gave a naive datetime; attach its time zone", reason="event_time")
        return (time - _EPOCH) // _MILLISECOND
    if type(time) is int:
        return time
    raise BadRecord(
        f"timestamp= gave a {type(time).__name__}; return an aware datetime, or milliseconds since 1970 as an int",
        reason="event_time",
    )


def _by_place(column: list[int], rows: Sequence[int], length: int) -> list[int]:
    """A column indexed by place in the source batch, where that has rows which are not in the column."""
    if len(rows) == length:
        return column
    spread = [0] * length
    for row, value in zip(rows, column, strict=True):
        spread[row] = value
    return spread


def _without_ours(headers: Headers) -> Headers:
    """Reserved headers are hidden from user code and from outputs."""
    if not any(name.startswith(RESERVED_HEADERS) for name, _ in headers):
        return headers
    return tuple(pair for pair in headers if not pair[0].startswith(RESERVED_HEADERS))


def _above_keyed(nodes: Sequence[Node]) -> set[str]:
    """Nodes whose records reach one that needs all records of a key, without going through a topic in between."""
    found: set[str] = set()
    for node in reversed(nodes):
        if (node.operation.is_keyed or node.name in found) and not node.operation.is_cut:
            found.update(port.node for port in node.parents)
    return found
