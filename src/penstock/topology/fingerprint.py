"""The graph as plain data in a canonical order, and a hash of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from penstock.topology.node import Node
from penstock.topology.type_names import describe_store, describe_topic


def describe_node(node: Node) -> dict[str, object]:
    """One node without what only people care for. The policy is left out: it changes no result of a good record."""
    operation = node.operation
    told: dict[str, object] = {
        "name": node.name,
        "kind": operation.kind,
        "parents": [str(port) for port in node.parents],
        "tables": list(node.tables),
        "settings": dict(operation.settings()),
        "stores": [describe_store(store) for store in operation.stores],
    }
    if node.source is not None:
        told["reads"] = describe_topic(node.source.topic)
    if operation.writes is not None:
        told["writes"] = describe_topic(operation.writes)
    return told


def fingerprint_of(pipeline: str, nodes: Sequence[Node]) -> str:
    """16 hexadecimal digits. Equal for equal graphs, in every process and on every machine.

    User functions count by the names of their nodes only: nobody can tell whether two functions do the same.
    """
    data = msgspec.json.encode([pipeline, [describe_node(node) for node in nodes]], order="deterministic")
    return hashlib.blake2b(data, digest_size=8).hexdigest()
