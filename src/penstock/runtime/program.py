"""One task group made ready for one task: a batch of bytes in, batches of bytes out.

Pure but for the task's state. Nothing here decides what becomes of a failure: that is `savepoint.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import lt
from typing import Any, Final, cast

from penstock.batch import Batch, SourceBatch
from penstock.clock import Clock
from penstock.deadletter.dead_letter import is_for_others
from penstock.deadletter.parking import Parking, ParkingLimits, parking_stores
from penstock.errors import BadRecord, UndecodableRecord
from penstock.operators.operator import AnyBatch, Fork, GlobalContent, OpenTopic, Operator, Place, Run, TaskContext
from penstock.operators.park import Park
from penstock.operators.repartition_records import Parted, TimeMark, part
from penstock.operators.writing import RESERVED_HEADERS
from penstock.record import Headers
from penstock.runtime.route import OperatorFailed, Route, may_be_the_records, route_of
from penstock.runtime.spent import Spent
from penstock.runtime.staged import OutputBatch, Staged
from penstock.runtime.stream_time import StreamTime, Timekeeping
from penstock.schemas.topic import BoundTopic
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
        batch: what could be decoded; event times not yet known, unless it comes from a repartition topic.
        failures: {place in the source batch: why}, with coordinates.
        marks: {place in the source batch: time mark}; these are no records.
        passed_over: places of records that were redriven for another consumer group.
    """

    source: SourceBatch
    batch: AnyBatch
    failures: dict[int, UndecodableRecord]
    marks: dict[int, TimeMark]
    passed_over: list[int] = field(default_factory=list[int])

    @property
    def places(self) -> list[int]:
        """All that could be decoded, and what needs no decoding."""
        return sorted([*self.batch.rows, *self.marks, *self.passed_over])


@dataclass(frozen=True, slots=True)
class _Input:
    """A topic that comes in.

    Attributes:
        bound: the topic.
        route: of its records.
    """

    bound: BoundTopic[Any, Any]
    route: Route


class Program:
    """A task group, opened for one task.

    Args:
        group: what to run.
        topics: {name: topic} for every topic of the group, by the names in the topology; a repartition topic's own
            name has the project's prefix in front.
        state: the task's; an empty one will do for a group without stores.
        clock: time, for processors.
        partition: the task's.
        global_tables: {node: content} of those that the group looks things up in.
        consumer_group: that it belongs to; None = it is named as the pipeline.

    Attributes:
        time: how far in event time the task is. To be set when it is restored.
        spent: where the time of a batch went.
    """

    def __init__(
        self,
        group: TaskGroup,
        topics: Mapping[str, OpenTopic],
        state: TaskState,
        clock: Clock,
        partition: int,
        global_tables: Mapping[str, GlobalContent] | None = None,
        consumer_group: str | None = None,
    ) -> None:
        self.group = group
        self._consumer_group = group.pipeline if consumer_group is None else consumer_group
        self.time = StreamTime()
        self.spent = Spent(clock.monotonic_s)
        self._topics = topics
        self._timekeeping = _timekeeping(group, topics, partition)
        self._nodes = {node.name: node for node in group.nodes}
        self._task = TaskContext(
            pipeline=group.pipeline,
            group=group.name,
            partition=partition,
            specs=group.stores,
            state=state,
            topics=topics,
            clock=clock,
            global_tables=global_tables,
        )
        self._inputs: dict[str, _Input] = {}

    def open(self) -> None:
        """Open the operators, processors among them. Once, before the first batch."""
        keyed = _above_keyed(self.group.nodes)
        opened: dict[str, Run | Fork] = {}
        for node in self.group.nodes:
            if isinstance(node.operation, Operator):
                opened[node.name] = node.operation.open(self._task, Place(node.name, node.name in keyed))
        for node in self.group.inputs:
            if node.input_topic is not None:
                bound = self._topics[node.input_topic.name].bound
                self._inputs[bound.topic.name] = _Input(bound, route_of(node, self.group.nodes, opened))

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
        """The node by which this topic's records come in."""
        return self._inputs[topic].route.source

    def parkings(self, limits: ParkingLimits) -> dict[str, Parking]:
        """{topic: its parked records}, of the inputs that have a place for them."""
        found: dict[str, Parking] = {}
        for node in self.group.nodes:
            if isinstance(node.operation, Park):
                queues, records = parking_stores(node.operation.input)
                topic = self._topic_in(node.operation.input)
                found[topic] = Parking(
                    topic,
                    self._task.partition,
                    self._task.store(queues),
                    self._task.store(records),
                    limits,
                )
        return found

    def _topic_in(self, name: str) -> str:
        """The topic that comes in by this node, by its own name."""
        node = next(node for node in self.group.inputs if node.name == name)
        return self._topics[node.input_topic.name].bound.topic.name if node.input_topic is not None else ""

    def writers_of(self, topic: str) -> list[Node]:
        """The nodes that write to this topic, in the graph's order."""
        written = [(node, node.operation.writes) for node in self.group.nodes]
        return [node for node, each in written if each and self._topics[each.name].bound.topic.name == topic]

    def node(self, name: str) -> Node:
        """The node of this name."""
        return self._nodes[name]

    def decode(self, source: SourceBatch) -> Decoded:
        """Decode keys and values.

        Raises:
            RegistryUnavailable: no record's fault; call again.
        """
        began_s = self.spent.now_s()
        decoded = self._decoded(source)
        self.spent.add("decode", began_s)
        return decoded

    def _decoded(self, source: SourceBatch) -> Decoded:
        given = self._inputs[source.topic]
        is_repartition = given.route.source.operation.is_cut
        parted = part(source) if is_repartition else Parted(list(range(len(source))), source.timestamps_ms, {})
        passed_over = self._passed_over(source)
        if passed_over:
            parted = parted.without(passed_over)
        records = source.take(parted.places) if parted.marks or passed_over else source
        keys, values = given.bound.decode_keys(records.keys), given.bound.decode_values(records.values)
        batch: AnyBatch = Batch(
            parted.places,
            keys.values,
            values.values,
            records.timestamps_ms,
            parted.event_times_ms,
            _without_ours(records.headers),
        )
        failures = {**values.failures, **keys.failures}
        if failures:
            batch = batch.take([index for index in range(len(records)) if index not in failures])
        for index, failure in failures.items():
            failure.at(source.topic, source.partition, records.offsets[index])
        by_place = {parted.places[index]: failure for index, failure in failures.items()}
        return Decoded(source, batch, by_place, parted.marks, passed_over)

    def _passed_over(self, source: SourceBatch) -> list[int]:
        """The places of records that were redriven for another consumer group: here their originals were dealt with."""
        if source.headers is None:
            return []
        return [place for place, row in enumerate(source.headers) if row and is_for_others(row, self._consumer_group)]

    def run(self, decoded: Decoded) -> Staged:
        """Run what was decoded on the state's batch overlay.

        Time moves only if everything succeeds.

        Raises:
            OperatorFailed: one of the records may be at fault; the overlay is to be dropped.
            PenstockError: no record's fault; likewise.
        """
        source, batch = decoded.source, decoded.batch
        route = self._inputs[source.topic].route
        batch.event_times_ms = _event_times(route.source, batch)
        times_ms, after = self._timekeeping.through(self.time, source, batch.rows, batch.event_times_ms, decoded.marks)
        passed_over = len(decoded.passed_over)
        if not batch.rows:
            self.time = after
            return Staged(records=passed_over, filtered=passed_over)
        self._task.begin(source)
        self._task.stream_times_ms = times_ms
        written, filtered = route.execute(batch, self.spent)
        self.time = after
        return Staged(
            [self._output(topic, one, source.partition) for topic, one in written.items() if one.rows],
            records=len(batch) + passed_over,
            filtered=filtered + passed_over,
            late=0 if route.source.operation.stores else _late(batch, times_ms),
            event_times_ms=batch.event_times_ms if _has_event_times(route.source) else [],
            event_time_ms=batch.event_times_ms[-1],
        )

    def _output(self, topic: str, batch: AnyBatch, source_partition: int) -> OutputBatch:
        partitions = None
        if None in batch.keys:
            # A random choice would differ from one cut of the input to another.
            chosen = source_partition % self._topics[topic].partitions
            partitions = [chosen if key is None else -1 for key in batch.keys]
        name = self._topics[topic].bound.topic.name
        return OutputBatch(name, batch.keys, batch.values, batch.timestamps_ms, partitions, batch.headers)


def _has_event_times(node: Node) -> bool:
    """Whether they are others than Kafka's timestamps."""
    return node.operation.is_cut or (node.source is not None and node.source.timestamp is not None)


def _late(batch: AnyBatch, times_ms: list[int]) -> int:
    """How many records lie behind the stream time that was reached in front of them."""
    if batch.event_times_ms == times_ms:  # the usual case, and for equal lists of the same numbers a quick look
        return 0
    return sum(map(lt, batch.event_times_ms, map(times_ms.__getitem__, batch.rows)))


def _event_times(node: Node, batch: AnyBatch) -> list[int]:
    source = node.source
    if source is None or source.timestamp is None:
        return batch.event_times_ms
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


def _without_ours(headers: list[Headers] | None) -> list[Headers] | None:
    """Reserved headers are hidden from user code and from outputs."""
    if headers is None:
        return None
    kept = [
        tuple(pair for pair in row if not pair[0].startswith(RESERVED_HEADERS))
        if any(name.startswith(RESERVED_HEADERS) for name, _ in row)
        else row
        for row in headers
    ]
    return kept if any(kept) else None


def _timekeeping(group: TaskGroup, topics: Mapping[str, OpenTopic], partition: int) -> Timekeeping:
    """By the topics' own names, as batches have them; only topics wide enough for this task to read one."""

    def named(nodes: Sequence[Node]) -> frozenset[str]:
        opened = [topics[node.input_topic.name] for node in nodes if node.input_topic is not None]
        return frozenset(each.bound.topic.name for each in opened if partition < each.partitions)

    return Timekeeping(named(group.upstream_cuts), named([node for node in group.sources if not node.operation.stores]))


def _above_keyed(nodes: Sequence[Node]) -> set[str]:
    """Nodes whose records reach one that needs all records of a key, without going through a topic in between."""
    found: set[str] = set()
    for node in reversed(nodes):
        if (node.operation.is_keyed or node.name in found) and not node.operation.is_cut:
            found.update(port.node for port in node.parents)
    return found
