"""A topology for people and for code review: the same text for the same graph, a line per thing, no numbers.

Text and JSON are here, drawings in `drawing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from penstock.topology.fingerprint import describe_node
from penstock.topology.groups import TaskGroup
from penstock.topology.node import AnyTopic, Node
from penstock.topology.topology import Topology
from penstock.topology.type_names import describe_store, describe_topic, serde_name, type_name

Row = Sequence[str]


def as_text(topology: Topology) -> str:
    """Group by group: what is read, kept and written, then the nodes and where each takes its records from."""
    head = f"pipeline {topology.name}\nfingerprint {topology.fingerprint}, on error {topology.on_error}"
    return "\n\n".join([head, *("\n".join(_group(group)) for group in topology.groups.values())]) + "\n"


def as_data(topology: Topology) -> dict[str, object]:
    """Everything that the fingerprint covers, by group, as plain data for JSON; and the policies."""
    return {
        "pipeline": topology.name,
        "fingerprint": topology.fingerprint,
        "on_error": str(topology.on_error),
        "groups": [
            {
                "name": group.name,
                "reads": [topic.name for topic in group.input_topics],
                "writes": [topic.name for topic in group.sink_topics],
                "copartitioned": list(group.copartitioned),
                "looks_up": [node.name for node in group.global_tables],
                "stores": [store.name for store in group.stores],
                "nodes": [{**describe_node(node), "on_error": str(group.policy(node))} for node in group.nodes],
            }
            for group in topology.groups.values()
        ],
        "global_tables": [describe_node(node) for node in topology.global_tables],
        "topics": [describe_topic(topic) for topic in topology.topics.values()],
        "stores": [describe_store(store) for store in topology.stores.values()],
    }


def details(node: Node) -> str:
    """What a line about a node ends with: topic, store, settings, its own policy."""
    operation = node.operation
    told = [f"{name} {value}" for name, value in operation.settings().items()]
    if node.source is None:
        told += [f"store {store.name}" for store in operation.stores if not node.tables]
    if node.on_error is not None:
        told.append(f"on error {node.on_error}")
    return ", ".join(told)


def _group(group: TaskGroup) -> Iterator[str]:
    yield f"task group {group.name}"
    tables = {node.source.topic.name for node in group.sources if node.source and node.operation.stores}
    yield from _section("reads", (_topic(topic, is_table=topic.name in tables) for topic in group.input_topics))
    if group.copartitioned:
        yield "    with equally many partitions"
    everywhere = ((node.source.topic, node.name) for node in group.global_tables if node.source is not None)
    yield from _section("reads whole", ((*_topic(topic)[:2], f"as global table {name}") for topic, name in everywhere))
    stores = (
        (store.name, f"{type_name(store.key)} -> {type_name(store.value)}", _version(store.version))
        for store in group.stores
    )
    yield from _section("keeps", stores)
    yield from _section("writes", (_topic(topic) for topic in group.sink_topics))
    yield from _section("does", ((node.name, node.operation.kind, origin(node), details(node)) for node in group.nodes))


def origin(node: Node) -> str:
    """Where a node's records come from: a topic, or other nodes and tables; and where they go, for a sink."""
    if node.source is not None:
        return f"from topic {node.source.topic.name}"
    told = "from " + ", ".join(map(str, node.parents))
    if node.tables:
        told += " with table " + ", ".join(node.tables)
    return told if node.operation.writes is None else f"{told} to topic {node.operation.writes.name}"


def _topic(topic: AnyTopic, *, is_table: bool = False) -> Row:
    return topic.name, f"{serde_name(topic.key)} -> {serde_name(topic.value)}", "as a table" if is_table else ""


def _version(version: int) -> str:
    return "" if version == 1 else f"version {version}"


def _section(title: str, rows: Iterable[Row]) -> Iterator[str]:
    """Rows as aligned columns; nothing at all where there are none."""
    lines = list(rows)
    if not lines:
        return
    yield f"  {title}"
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield ("    " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip()
