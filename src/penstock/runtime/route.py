"""The way of one source's records through a task group, made ready to run.

Columns go through the nodes in the graph's order; a node with several inputs gets them merged by row. Each node sees
its records in the order in which it would see them if every batch had one row, so its results do not depend on where
the input is cut. One thing would spoil that: two nodes that use the same store. They, and what lies between them, run
row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

from penstock.deadletter.envelope import Stage
from penstock.errors import BadRecord, BadRow, PenstockError, UnencodableValue
from penstock.operators.columns import merged, rows_of
from penstock.operators.operator import AnyBatch, Fork, Run
from penstock.runtime.spent import Part, Spent
from penstock.topology.node import Node

Slots = list["AnyBatch | None"]
"""The batch at every way out of every node of a route; place 0 is what was decoded."""


class OperatorFailed(Exception):
    """An operator failed in a way that may be a record's fault. Stays within the runtime: `savepoint.py` judges it.

    Attributes:
        node: where.
        stage: likewise, in the words of the dead-letter headers.
        error: what was raised.
    """

    def __init__(self, node: Node, error: Exception) -> None:
        super().__init__(node.name)
        self.node, self.error = node, error

    @property
    def stage(self) -> Stage:
        """Where on its way the record failed."""
        operation = self.node.operation
        if operation.writes is not None and (not operation.is_cut or isinstance(self.error, UnencodableValue)):
            return "encode"
        if isinstance(self.error, BadRow):
            return "validate"
        return "state" if isinstance(self.error, UnencodableValue) else "process"


def may_be_the_records(error: Exception) -> bool:
    """Whether a record can be at fault: not for a registry that is away, a setting, or memory that has run out."""
    return isinstance(error, BadRecord) or not isinstance(error, PenstockError | MemoryError)


@dataclass(frozen=True, slots=True)
class Step:
    """One node, opened.

    Attributes:
        node: the node.
        run: what it does.
        inputs: slots that it reads, in the order of its parents.
        outputs: slots that it fills, one per way out.
        counts: a row that gets here has left something behind.
    """

    node: Node
    run: Run | Fork
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    counts: bool

    @property
    def part(self) -> Part | None:
        """What its time is counted as; None = as the operators' own."""
        operation = self.node.operation
        if operation.writes is not None:
            return "encode"
        return "state" if operation.stores else None

    def execute(self, slots: Slots, arrived: list[list[int]]) -> None:
        """Run it on what stands in its inputs."""
        given = [cast("AnyBatch", slots[index]) for index in self.inputs]
        batch = given[0] if len(given) == 1 else merged(given)
        if not batch.rows:
            for index in self.outputs:
                slots[index] = batch
            return
        if self.counts:
            arrived.append(batch.rows)
        try:
            result = self.run(batch)
        except Exception as err:  # user code may raise anything
            if may_be_the_records(err):
                raise OperatorFailed(self.node, err) from err
            err.add_note(f"in operator '{self.node.name}'")
            raise
        if isinstance(result, tuple):
            for index, part in zip(self.outputs, result, strict=True):
                slots[index] = part
        else:
            slots[self.outputs[0]] = result


@dataclass(frozen=True, slots=True)
class RowByRow:
    """Nodes that use one store, and what lies between them: all of them for one row, then all for the next.

    Attributes:
        steps: in the graph's order.
        inputs: slots from outside.
        outputs: slots that the steps fill.
    """

    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def part(self) -> Part | None:
        """What their time is counted as: looking at the clock for each row of each of them would cost too much."""
        return "state"

    def execute(self, slots: Slots, arrived: list[list[int]]) -> None:
        """Run them on what stands in the inputs."""
        given = {index: cast("AnyBatch", slots[index]) for index in self.inputs}
        starts = dict.fromkeys(given, 0)
        results: dict[int, list[AnyBatch]] = {index: [] for index in self.outputs}
        for row in sorted(set(chain.from_iterable(batch.rows for batch in given.values()))):
            for index, batch in given.items():
                start = stop = starts[index]
                while stop < len(batch.rows) and batch.rows[stop] == row:
                    stop += 1
                slots[index] = rows_of(batch, start, stop)
                starts[index] = stop
            for step in self.steps:
                step.execute(slots, arrived)
            for index, found in results.items():
                found.append(cast("AnyBatch", slots[index]))
        for index, batch in given.items():
            slots[index] = batch
        empty = rows_of(next(iter(given.values())), 0, 0)
        for index, found in results.items():
            slots[index] = merged(found or [empty])


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that one source's records go through.

    Attributes:
        source: where they come in.
        steps: in an order in which every input is there; and what the time of each is counted as.
        size: number of slots.
        sinks: {topic: slots of encoded batches, in the graph's order}.
    """

    source: Node
    steps: tuple[tuple[Part | None, Step | RowByRow], ...]
    size: int
    sinks: Mapping[str, tuple[int, ...]]

    def execute(self, batch: AnyBatch, spent: Spent) -> tuple[dict[str, AnyBatch], int]:
        """Take a batch all the way.

        Args:
            batch: decoded.
            spent: told how long parts of it took.

        Returns:
            {topic: encoded records in the order of their rows}, and the number of rows that left nothing behind.

        Raises:
            OperatorFailed: see there.
        """
        slots: Slots = [None] * self.size
        slots[0] = batch
        arrived: list[list[int]] = []
        for part, step in self.steps:
            if part is None:
                step.execute(slots, arrived)
                continue
            began_s = spent.now_s()
            step.execute(slots, arrived)
            spent.add(part, began_s)
        written = {
            topic: merged([cast("AnyBatch", slots[index]) for index in places]) for topic, places in self.sinks.items()
        }
        return written, self._filtered(batch.rows, arrived)

    def _filtered(self, rows: list[int], arrived: list[list[int]]) -> int:
        if any(each is rows for each in arrived):
            return 0
        return len(rows) - len(set(chain.from_iterable(arrived)))


def route_of(source: Node, nodes: Sequence[Node], opened: Mapping[str, Run | Fork]) -> Route:
    """The route of a source.

    Args:
        source: one of the group's inputs.
        nodes: of the group, in the graph's order.
        opened: {node: what it does}; a source that only reads is left out.
    """
    reached = _reached(source, nodes)
    slots: dict[tuple[str, int], int] = {(source.name, 0): 0}
    size = 1
    steps: list[Step] = []
    for node in reached:
        if node.name not in opened:
            continue
        if node is source:
            inputs: tuple[int, ...] = (0,)
        else:
            # A parent that this source does not reach has nothing to give today.
            inputs = tuple(slots[port] for port in node.parents if port in slots)
        outputs = tuple(range(size, size + node.operation.ports))
        slots.update({(node.name, port): index for port, index in enumerate(outputs)})
        size += len(outputs)
        operation = node.operation
        steps.append(
            Step(
                node,
                opened[node.name],
                inputs,
                outputs,
                operation.is_end
                or operation.is_cut
                or (bool(operation.stores) and not node.tables and not operation.is_passive),
            )
        )
    sinks: dict[str, tuple[int, ...]] = {}
    for step in steps:
        topic = step.node.operation.writes
        if topic is not None:
            sinks[topic.name] = (*sinks.get(topic.name, ()), *step.outputs)
    return Route(source, tuple((step.part, step) for step in _in_order(steps)), size, sinks)


def _reached(source: Node, nodes: Sequence[Node]) -> list[Node]:
    names = {source.name}
    reached = [source]
    for node in nodes:
        if any(port.node in names for port in node.parents):
            names.add(node.name)
            reached.append(node)
    return reached


def _in_order(steps: Sequence[Step]) -> Iterable[Step | RowByRow]:
    """The steps, those that must run row by row put together."""
    users = Counter(store.name for step in steps for store in step.node.operation.stores)
    sharing = [step.node.name for step in steps if any(users[store.name] > 1 for store in step.node.operation.stores)]
    if not sharing:
        return steps
    nodes = [step.node for step in steps]
    behind = _closure(sharing, nodes, lambda node: {*(port.node for port in node.parents), *node.tables})
    children: dict[str, set[str]] = {}
    for node in nodes:
        for name in (*(port.node for port in node.parents), *node.tables):
            children.setdefault(name, set()).add(node.name)
    before = _closure(sharing, nodes[::-1], lambda node: children.get(node.name, set()))
    region = tuple(step for step in steps if step.node.name in behind and step.node.name in before)
    inside = {index for step in region for index in step.outputs}
    outside = sorted({index for step in region for index in step.inputs if index not in inside})
    return (
        *(step for step in steps if step.node.name not in behind),
        RowByRow(region, tuple(outside), tuple(sorted(inside))),
        *(step for step in steps if step.node.name in behind and step.node.name not in before),
    )


def _closure(start: Iterable[str], nodes: Sequence[Node], previous: Callable[[Node], set[str]]) -> set[str]:
    """Names that are in `start`, or have one that is among their previous ones; nodes in an order to walk in."""
    found = set(start)
    for node in nodes:
        if previous(node) & found:
            found.add(node.name)
    return found
