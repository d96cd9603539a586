"""What is wrong with a graph: everything at once, a line each that says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from penstock.state.changelog import NAME
from penstock.topology.node import AnyStore, Node, Port
from penstock.topology.type_names import serde_name

FOREVER: Final = "-1"


def problems_of(pipeline: str, nodes: Sequence[Node]) -> list[str]:
    """All problems of a graph; empty if there are none."""
    return [
        *_names(pipeline, nodes),
        *_parents(nodes),
        *_topics(nodes),
        *_stores(nodes),
        *_dead_ends(nodes),
        *_keys(nodes),
        *(f"'{node.name}': {problem}" for node in nodes for problem in node.operation.problems()),
    ]


def _names(pipeline: str, nodes: Sequence[Node]) -> Iterator[str]:
    rule = "use lower-case letters, digits and dashes, a letter first, 63 at most"
    if not NAME.fullmatch(pipeline):
        yield f"the pipeline's name {pipeline[:100]!r}: {rule}"
    for node in nodes:
        if not NAME.fullmatch(node.name):
            yield f"the name {node.name[:100]!r} of a {node.operation.kind}: {rule}; give another by name="
    for name, count in Counter(node.name for node in nodes).items():
        if count > 1:
            kinds = " and ".join(node.operation.kind for node in nodes if node.name == name)
            yield f"{count} nodes are named '{name}' ({kinds}); give each a name= of its own"
    if not any(node.source for node in nodes if not node.operation.is_global):
        yield "it reads nothing; begin with stream(topic) or table(topic, name=...)"


def _parents(nodes: Sequence[Node]) -> Iterator[str]:
    ports: dict[str, int] = {}
    everywhere = _global_tables(nodes)
    for node in nodes:
        if node.source is None and not node.parents:
            yield f"'{node.name}' takes its records from nowhere"
        for name, index in node.parents:
            if name not in ports:
                yield f"'{node.name}' takes records from '{name}', which is not in this pipeline before it"
            elif index >= ports[name]:
                yield f"'{node.name}' takes records from way {index} of '{name}', which has {ports[name]}"
            elif name in everywhere:
                yield f"'{node.name}' takes records from '{name}', a global table, which can only be looked up in"
        for name in node.tables:
            if name not in ports:
                yield f"'{node.name}' looks things up in '{name}', which is not in this pipeline before it"
        ports[node.name] = node.operation.ports


def _topics(nodes: Sequence[Node]) -> Iterator[str]:
    readers: dict[str, str] = {}
    for node in nodes:
        if node.source is None:
            continue
        topic = node.source.topic
        other = readers.setdefault(topic.name, node.name)
        if other != node.name:
            yield (
                f"topic '{topic.name}' is read by '{other}' and by '{node.name}'; read it once, keep the result in a "
                "variable and use that twice"
            )
        if node.operation.stores or node.operation.is_global:
            yield from _table(node.name, topic.name, topic.config, tombstones=topic.tombstones)
    for node in nodes:
        written = node.operation.writes
        if written is not None and written.name in readers:
            yield f"'{node.name}' writes to topic '{written.name}', which this pipeline reads: an endless loop"


def _table(node: str, topic: str, config: object, *, tombstones: bool) -> Iterator[str]:
    settings = dict(config) if isinstance(config, dict) else {}
    policies = settings.get("cleanup.policy", "delete").replace(" ", "").split(",")
    if "compact" not in policies and settings.get("retention.ms") != FOREVER:
        yield (
            f"table '{node}': topic '{topic}' is declared neither compacted nor kept for ever, so old keys would be "
            "missing; declare it with config={'cleanup.policy': 'compact'} or {'retention.ms': '-1'}"
        )
    if "compact" in policies and not tombstones:
        yield (
            f"table '{node}': topic '{topic}' is compacted, so null values delete keys; declare it with tombstones=True"
        )


def _stores(nodes: Sequence[Node]) -> Iterator[str]:
    owners: dict[str, tuple[AnyStore, str]] = {}
    for node in nodes:
        for store in node.operation.stores:
            other, owner = owners.setdefault(store.name, (store, node.name))
            if other != store:
                yield (
                    f"store '{store.name}' is declared differently by '{owner}' and by '{node.name}'; "
                    "use one StoreSpec for both, or two names"
                )


def _dead_ends(nodes: Sequence[Node]) -> Iterator[str]:
    taken = {port for node in nodes for port in node.parents}
    looked_up = {table for node in nodes for table in node.tables}
    for node in nodes:
        operation = node.operation
        ways = max(1, operation.ports - 1)  # the last way of a branch is the rest, which may be left behind
        missing = [index for index in range(ways) if Port(node.name, index) not in taken]
        if operation.is_end or node.name in looked_up or not missing:
            continue
        if operation.ports > 1:
            for index in missing:
                yield f"way {index} of branch '{node.name}' goes nowhere; end it with to(topic), or use filter"
        elif node.source is not None and (operation.stores or operation.is_global):
            yield f"table '{node.name}' is used by nothing; join a stream with it, or take it out"
        else:
            yield f"'{node.name}' ({operation.kind}) goes nowhere; end it with to(topic), or take it out"


def _keys(nodes: Sequence[Node]) -> Iterator[str]:
    """Streams that meet must have one form of key, or one key would live in two partitions."""
    forms: dict[str, set[str]] = {}
    everywhere = _global_tables(nodes)
    for node in nodes:
        topic = node.input_topic
        if topic is not None:
            forms[node.name] = {serde_name(topic.key)}
            continue
        met = [*(port.node for port in node.parents), *(name for name in node.tables if name not in everywhere)]
        found = set().union(*(forms.get(name, set()) for name in met))
        if node.operation.is_keyed and len(found) > 1:
            yield (
                f"'{node.name}' ({node.operation.kind}) brings together keys of different form: "
                f"{' and '.join(sorted(found))}; give their topics the same key serde"
            )
            found = set()  # told once
        forms[node.name] = found


def _global_tables(nodes: Sequence[Node]) -> set[str]:
    return {node.name for node in nodes if node.operation.is_global}
