"""How many partitions the topics of a pipeline have, and so how many tasks its groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.topology.groups import TaskGroup, upstream_groups
from penstock.topology.node import Node
from penstock.topology.topology import Topology


class PartitionCounts:
    """Those of the user's topics are what they are.

    A repartition topic has as many as its declaration says; else as are there, so that its keys stay where their state
    is when an input is given more partitions; else as many as tasks write it.

    Args:
        topology: the pipeline.
        there: {topic on the cluster: partitions}; every topic of the user's that the pipeline reads is among them.
        prefix: of the project; empty or ending in a dot.
    """

    def __init__(self, topology: Topology, there: Mapping[str, int], prefix: str) -> None:
        self._groups = topology.groups
        self._writers = upstream_groups(topology.groups.values())
        self._there = there
        self._prefix = prefix

    def of(self, node: Node) -> int:
        """Of the topic by which records come in at this input."""
        topic = node.input_topic
        if topic is None:
            raise RuntimeError(f"'{node.name}' is no input; please report this")
        if node.source is not None:
            return self._there[topic.name]
        return topic.partitions or self._there.get(self._prefix + topic.name) or self.tasks(self.writer(node))

    def writer(self, cut: Node) -> TaskGroup:
        """The group that writes a repartition topic."""
        return self._groups[self._writers[cut.name]]

    def tasks(self, group: TaskGroup) -> int:
        """How many tasks a group has: the most partitions of its inputs."""
        return max(self.of(node) for node in group.inputs)

    def problems(self) -> Iterator[str]:
        """What does not fit together, a line each that says what to do."""
        for group in self._groups.values():
            yield from self._copartitioning(group)
            for node in group.cuts:
                yield from self._changed(node)

    def _copartitioning(self, group: TaskGroup) -> Iterator[str]:
        counts = {node: self.of(node) for node in group.inputs} if group.copartitioned else {}
        if len(set(counts.values())) <= 1:
            return
        told = ", ".join(f"'{node.input_topic.name}' has {count}" for node, count in counts.items() if node.input_topic)
        yield (
            "records of one key must meet in one task, so these topics need equally many partitions: "
            f"{told}; {_way_out(counts)}"
        )

    def _changed(self, node: Node) -> Iterator[str]:
        topic = node.input_topic
        if topic is None or topic.partitions is None:
            return
        name = self._prefix + topic.name
        there = self._there.get(name, topic.partitions)
        if there != topic.partitions:
            yield (
                f"repartition topic '{name}' has {there} partitions and '{node.name}' says {topic.partitions}: keys "
                f"would move away from their state. Say partitions={there}, or give the step another name=, which "
                "begins its state anew"
            )


def _way_out(counts: Mapping[Node, int]) -> str:
    """What to do about inputs that differ: tables stay as they are, then streams."""
    tables = {count for node, count in counts.items() if node.operation.stores}
    if len(tables) > 1:
        return "publish one of the tables anew into a topic with as many as the other"
    wanted = max(tables or {count for node, count in counts.items() if node.source is not None} or counts.values())
    ways = [
        f"put .repartition({wanted}, name=...) behind the stream '{node.name}'"
        if node.source is not None
        else f"say partitions={wanted} at '{node.name}'"
        for node, count in counts.items()
        if count != wanted
    ]
    return " and ".join(ways)
