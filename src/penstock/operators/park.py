"""`park`: where the records of keys that wait are kept. Put behind an input by itself, where a policy parks keys.

It lets everything through. What it keeps is put in and taken out by the runtime, which parks records as they were read,
in front of all operators; the step is in the graph so that its stores are part of the state as any others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock.deadletter.parking import parking_stores
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.topology.node import AnyStore, Node, Policy, Port
from penstock.topology.policy import schedule_of


@dataclass(frozen=True, slots=True, eq=False)
class Park(Operator):
    """Holds the parked records of one input.

    Attributes:
        input: the node that they come in by.
    """

    kind = "park"
    is_passive = True

    input: str

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """The queues, and the records in them."""
        return parking_stores(self.input)

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run."""
        del task, place

        def run(batch: AnyBatch) -> AnyBatch:
            return batch

        return run


def with_parking(nodes: Sequence[Node], on_error: Policy) -> tuple[Node, ...]:
    """The graph with a place for parked records behind each stream whose records some step parks.

    Args:
        nodes: every node behind those it takes records from.
        on_error: the policy of nodes without one.
    """
    parked = {node.name for node in nodes if _is_stream(node) and _parks(node, nodes, on_error)}
    moved = {name: Port(f"park-{name}"[:63]) for name in parked}
    found: list[Node] = []
    for node in nodes:
        found.append(
            replace(node, parents=tuple(moved.get(port.node, port) for port in node.parents)) if moved else node
        )
        if node.name in moved:
            found.append(Node(moved[node.name].node, Park(node.name), (Port(node.name),)))
    return tuple(found)


def _is_stream(node: Node) -> bool:
    """Whether records come in by it that can be parked; a table's only change what others look up."""
    return node.operation.is_cut or (node.source is not None and not node.operation.stores)


def _parks(source: Node, nodes: Sequence[Node], on_error: Policy) -> bool:
    reached = {source.name}
    for node in nodes:
        if not any(port.node in reached for port in node.parents):
            continue
        if _parks_keys(node.on_error or on_error):
            return True
        if not node.operation.is_cut:
            reached.add(node.name)
    return source.source is not None and _parks_keys(source.on_error or on_error)


def _parks_keys(policy: Policy) -> bool:
    schedule = schedule_of(policy)
    return schedule is not None and schedule.keep == "key"
