"""Task groups: the parts of a graph that run together, one task per partition.

The graph is cut where records go through a topic to find the task of their key (`Operation.is_cut`): such a node ends
one group and is a source of the next. What shares a store, or looks things up in one, stays together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from penstock.topology.node import AnyStore, AnyTopic, Node, Policy


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """What a task runs: a part of a topology.

    Attributes:
        pipeline: the topology's name.
        name: of the first stream it reads; part of the changelog's name, so it stays as long as that stream does.
        nodes: in the topology's order.
        inputs: the nodes it reads from: sources, tables first, since these go first where timestamps are equal; then
            cuts of the group before.
        on_error: the policy of nodes without one.
    """

    pipeline: str
    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Node, ...]
    on_error: Policy

    @property
    def sources(self) -> tuple[Node, ...]:
        """The inputs that are topics of the user's."""
        return tuple(node for node in self.inputs if node.source is not None)

    @property
    def source_topics(self) -> tuple[AnyTopic, ...]:
        """What it reads, tables first."""
        return tuple(node.source.topic for node in self.inputs if node.source is not None)

    @property
    def sink_topics(self) -> tuple[AnyTopic, ...]:
        """What it writes, each once."""
        topics = (node.operation.writes for node in self.nodes)
        return tuple({topic.name: topic for topic in topics if topic is not None}.values())

    @property
    def topics(self) -> tuple[AnyTopic, ...]:
        """What it reads and writes."""
        return tuple({topic.name: topic for topic in (*self.source_topics, *self.sink_topics)}.values())

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """What it keeps, in the order of the nodes; without any it has no changelog."""
        found = {store.name: store for node in self.nodes for store in node.operation.stores}
        return tuple(found.values())

    @property
    def copartitioned(self) -> tuple[str, ...]:
        """Source topics that must have equally many partitions: to be checked at the start; empty where none must."""
        names = tuple(topic.name for topic in self.source_topics)
        return names if len(names) > 1 and any(node.operation.is_keyed for node in self.nodes) else ()

    def policy(self, node: Node) -> Policy:
        """What becomes of a record that fails in this node."""
        return node.on_error or self.on_error


def task_groups(pipeline: str, nodes: Sequence[Node], on_error: Policy) -> Iterator[TaskGroup]:
    """The groups of a valid graph, in the order of their first nodes."""
    by_name = {node.name: node for node in nodes}
    together = _Together(node.name for node in nodes)
    stores: dict[str, str] = {}
    readers: dict[str, str] = {}
    for node in nodes:
        for port in node.parents:
            # Those behind one cut read one topic: they are one group even where nothing else connects them.
            is_cut = by_name[port.node].operation.is_cut
            together.join(node.name, readers.setdefault(port.node, node.name) if is_cut else port.node)
        for table in node.tables:
            together.join(node.name, table)
        for store in node.operation.stores:
            together.join(node.name, stores.setdefault(store.name, node.name))
    members: dict[str, list[Node]] = {}
    for node in nodes:
        members.setdefault(together.root(node.name), []).append(node)
    for group in members.values():
        inputs = _inputs(group, by_name)
        streams = [node for node in inputs if not node.operation.stores]
        yield TaskGroup(pipeline, (streams or inputs)[0].name, tuple(group), inputs, on_error)


def _inputs(group: Sequence[Node], by_name: dict[str, Node]) -> tuple[Node, ...]:
    sources = [node for node in group if node.source is not None]
    cuts = {port.node: by_name[port.node] for node in group for port in node.parents}
    tables = [node for node in sources if node.operation.stores]
    streams = [node for node in sources if not node.operation.stores]
    return (*tables, *streams, *(node for node in cuts.values() if node.operation.is_cut))


class _Together:
    """Which names belong together (union-find; the root is the one that came first)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._above = {name: name for name in names}
        self._place = {name: place for place, name in enumerate(self._above)}

    def root(self, name: str) -> str:
        while self._above[name] != name:
            name = self._above[name]
        return name

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.root(one), self.root(other)), key=self._place.__getitem__)
        self._above[second] = first
