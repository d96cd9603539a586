"""Task groups: the parts of a graph that run together, one task per partition.

The graph is cut where records go through a topic to find the task of their key (`Operation.is_cut`): such a node ends
one group and is an input of the next. What shares a store, or looks things up in one, stays together; a global table
belongs to no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penstock.topology.node import AnyStore, AnyTopic, Node, Policy
from penstock.topology.policy import Classifier


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """What a task runs: a part of a topology.

    Attributes:
        pipeline: the topology's name.
        name: of the first stream it reads; part of the changelog's name, so it stays as long as that stream does.
        nodes: in the topology's order.
        inputs: the nodes it reads from: sources, tables first, since these go first where timestamps are equal; then
            cuts of the groups before.
        on_error: the policy of nodes without one.
        global_tables: nodes of no group that its nodes look things up in.
        classify: the user's own judge of failures; None = by type.
    """

    pipeline: str
    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Node, ...]
    on_error: Policy
    global_tables: tuple[Node, ...] = ()
    classify: Classifier | None = None

    @property
    def sources(self) -> tuple[Node, ...]:
        """The inputs that are topics of the user's."""
        return tuple(node for node in self.inputs if node.source is not None)

    @property
    def upstream_cuts(self) -> tuple[Node, ...]:
        """The inputs that other groups write for it."""
        return tuple(node for node in self.inputs if node.source is None)

    @property
    def cuts(self) -> tuple[Node, ...]:
        """The nodes by which it writes for other groups."""
        return tuple(node for node in self.nodes if node.operation.is_cut)

    @property
    def source_topics(self) -> tuple[AnyTopic, ...]:
        """What it reads of the user's, tables first."""
        return tuple(node.source.topic for node in self.inputs if node.source is not None)

    @property
    def input_topics(self) -> tuple[AnyTopic, ...]:
        """All that it reads, in the order that decides ties: tables, streams, repartition topics."""
        return tuple(node.input_topic for node in self.inputs if node.input_topic is not None)

    @property
    def sink_topics(self) -> tuple[AnyTopic, ...]:
        """What it writes, each once; repartition topics too."""
        topics = (node.operation.writes for node in self.nodes)
        return tuple({topic.name: topic for topic in topics if topic is not None}.values())

    @property
    def topics(self) -> tuple[AnyTopic, ...]:
        """What it reads and writes."""
        return tuple({topic.name: topic for topic in (*self.input_topics, *self.sink_topics)}.values())

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """What it keeps, in the order of the nodes."""
        found = {store.name: store for node in self.nodes for store in node.operation.stores}
        return tuple(found.values())

    @property
    def has_changelog(self) -> bool:
        """Whether it has something to remember: stores, or how far in time the tasks are that write for it."""
        return bool(self.stores or self.upstream_cuts)

    @property
    def copartitioned(self) -> tuple[str, ...]:
        """Topics it reads that must have equally many partitions: checked at the start; empty where none must."""
        names = tuple(topic.name for topic in self.input_topics)
        return names if len(names) > 1 and any(node.operation.is_keyed for node in self.nodes) else ()

    def policy(self, node: Node) -> Policy:
        """What becomes of a record that fails in this node."""
        return node.on_error or self.on_error


def task_groups(
    pipeline: str, nodes: Sequence[Node], on_error: Policy, classify: Classifier | None = None
) -> Iterator[TaskGroup]:
    """The groups of a valid graph, in the order of their first nodes."""
    by_name = {node.name: node for node in nodes}
    in_groups = [node for node in nodes if not node.operation.is_global]
    together = _Together(node.name for node in in_groups)
    stores: dict[str, str] = {}
    readers: dict[str, str] = {}
    for node in in_groups:
        for port in node.parents:
            # Those behind one cut read one topic: they are one group even where nothing else connects them.
            is_cut = by_name[port.node].operation.is_cut
            together.join(node.name, readers.setdefault(port.node, node.name) if is_cut else port.node)
        for table in node.tables:
            if not by_name[table].operation.is_global:
                together.join(node.name, table)
        for store in node.operation.stores:
            together.join(node.name, stores.setdefault(store.name, node.name))
    members: dict[str, list[Node]] = {}
    for node in in_groups:
        members.setdefault(together.root(node.name), []).append(node)
    for group in members.values():
        inputs = _inputs(group, by_name)
        streams = [node for node in inputs if not node.operation.stores]
        looked_up = {name: by_name[name] for node in group for name in node.tables}
        yield TaskGroup(
            pipeline,
            (streams or inputs)[0].name,
            tuple(group),
            inputs,
            on_error,
            tuple(node for node in looked_up.values() if node.operation.is_global),
            classify,
        )


def _inputs(group: Sequence[Node], by_name: dict[str, Node]) -> tuple[Node, ...]:
    sources = [node for node in group if node.source is not None]
    cuts = {port.node: by_name[port.node] for node in group for port in node.parents}
    tables = [node for node in sources if node.operation.stores]
    streams = [node for node in sources if not node.operation.stores]
    return (*tables, *streams, *(node for node in cuts.values() if node.operation.is_cut))


def upstream_groups(groups: Iterable[TaskGroup]) -> dict[str, str]:
    """{cut: the group that writes it}."""
    return {node.name: group.name for group in groups for node in group.cuts}


def problems_between(groups: Mapping[str, TaskGroup]) -> Iterator[str]:
    """Cuts that lead back to where their records came from: time would stand still, waiting for itself."""
    writers = upstream_groups(groups.values())
    before = {name: {writers[node.name] for node in group.upstream_cuts} for name, group in groups.items()}
    after = {name: {other for other, theirs in before.items() if name in theirs} for name in groups}
    circle = set(groups)
    while free := {name for name in circle if not (before[name] & circle and after[name] & circle)}:
        circle -= free
    for name in (name for name in groups if name in circle):
        for node in groups[name].upstream_cuts:
            if writers[node.name] in circle:
                yield (
                    f"what stands behind '{node.name}' uses a table or store of what stands before it, so the records "
                    "would lead back into their own task group; write them to a topic and let another pipeline read it"
                )


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
