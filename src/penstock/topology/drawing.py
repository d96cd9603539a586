"""A topology as a drawing: Mermaid for pull requests, DOT for Graphviz."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.topology.groups import TaskGroup
from penstock.topology.node import Node
from penstock.topology.topology import Topology


def as_mermaid(topology: Topology) -> str:
    """A flowchart: a box per task group, rounded topics outside, stores as cylinders."""
    lines = ["flowchart LR"]
    lines += [f'  {_id("topic", name)}(["{name}"])' for name in _topics(topology)]
    for group in topology.groups.values():
        lines.append(f'  subgraph {_id("group", group.name)}["task group {group.name}"]')
        lines += [f'    {_id("node", node.name)}["{node.name}<br/>{node.operation.kind}"]' for node in group.nodes]
        lines += [f'    {_id("store", store.name)}[("{store.name}")]' for store in group.stores]
        lines.append("  end")
    for group in topology.groups.values():
        lines += [f"  {_id(*a)} {'---' if is_store else '-->'} {_id(*b)}" for a, b, is_store in _edges(group)]
    return "\n".join(lines) + "\n"


def as_dot(topology: Topology) -> str:
    """A directed graph: a cluster per task group, ellipses for topics, cylinders for stores."""
    lines = [f"digraph {_quoted(topology.name)} {{", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_quoted('topic:' + name)} [label={_quoted(name)} shape=ellipse];" for name in _topics(topology)]
    for group in topology.groups.values():
        lines.append(f"  subgraph {_quoted('cluster:' + group.name)} {{")
        lines.append(f"    label={_quoted('task group ' + group.name)};")
        for node in group.nodes:
            label = _quoted(f"{node.name}\\n{node.operation.kind}")
            lines.append(f"    {_quoted('node:' + node.name)} [label={label}];")
        for store in group.stores:
            lines.append(f"    {_quoted('store:' + store.name)} [label={_quoted(store.name)} shape=cylinder];")
        lines.append("  }")
    for group in topology.groups.values():
        for a, b, is_store in _edges(group):
            style = " [dir=none style=dashed]" if is_store else ""
            lines.append(f"  {_quoted(':'.join(a))} -> {_quoted(':'.join(b))}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _topics(topology: Topology) -> list[str]:
    """Everything that is read or written, global tables last."""
    everywhere = (node.source.topic.name for node in topology.global_tables if node.source is not None)
    return list(dict.fromkeys([*topology.topics, *everywhere]))


Thing = tuple[str, str]
"""("topic" | "node" | "store" | "group", name)."""


def _edges(group: TaskGroup) -> Iterator[tuple[Thing, Thing, bool]]:
    """(from, to, whether it is the use of a store), in the order of the nodes."""
    cuts = {node.name: node.input_topic.name for node in group.upstream_cuts if node.input_topic is not None}
    everywhere = {node.name: node.source.topic.name for node in group.global_tables if node.source is not None}
    for node in group.nodes:
        here = ("node", node.name)
        for port in node.parents:
            yield (("topic", cuts[port.node]) if port.node in cuts else ("node", port.node)), here, False
        for table in node.tables:
            if table in everywhere:
                yield ("topic", everywhere[table]), here, True
        yield from _edges_of(node)


def _edges_of(node: Node) -> Iterator[tuple[Thing, Thing, bool]]:
    here = ("node", node.name)
    if node.source is not None:
        yield ("topic", node.source.topic.name), here, False
    for store in node.operation.stores:
        yield here, ("store", store.name), True
    if node.operation.writes is not None:
        yield here, ("topic", node.operation.writes.name), False


def _id(kind: str, name: str) -> str:
    """An identifier for Mermaid: dashes become underscores, what else is no letter or digit its number."""
    return f"{kind}_" + re.sub(r"[^A-Za-z0-9]", _escaped, name)


def _escaped(found: re.Match[str]) -> str:
    return "_" if found[0] == "-" else f"_{ord(found[0]):x}_"


def _quoted(text: str) -> str:
    """DOT's quoting; names of ours and of topics hold no quotes, and a backslash only where we put a line break."""
    return f'"{text}"'
