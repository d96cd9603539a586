"""A pipeline's graph without problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.errors import ConfigurationError
from penstock.topology.fingerprint import fingerprint_of
from penstock.topology.groups import TaskGroup, problems_between, task_groups
from penstock.topology.node import AnyStore, AnyTopic, Node, Policy
from penstock.topology.policy import CircuitBreaker, Classifier
from penstock.topology.validation import problems_of


class TopologyError(ConfigurationError):
    """The graph of a pipeline cannot work. The message lists everything that is wrong with it.

    Attributes:
        problems: one line each.
    """

    def __init__(self, pipeline: str, problems: Sequence[str]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"pipeline {pipeline!r}: {count}", *(f"  - {line}" for line in problems)]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Topology:
    """The graph of one pipeline: validated, immutable, the same in every process that runs the same code.

    Attributes:
        name: the pipeline's.
        nodes: every node behind all those it takes records from or looks things up in.
        on_error: the policy of nodes without one.
        classify: the user's own judge of failures; None = by type.
        breaker: when a task pauses because too much fails; None = never.
        fingerprint: 16 hexadecimal digits over names, kinds, settings, stores with their types and versions, topics.
        groups: what tasks are made of, by name.

    Raises:
        TopologyError: with all problems at once.
    """

    name: str
    nodes: tuple[Node, ...]
    on_error: Policy = "fail"
    classify: Classifier | None = None
    breaker: CircuitBreaker | None = None
    fingerprint: str = field(init=False)
    groups: Mapping[str, TaskGroup] = field(init=False)

    def __post_init__(self) -> None:
        """Validate, then say what follows from the nodes."""
        problems = problems_of(self.name, self.nodes)
        if problems:
            raise TopologyError(self.name, problems)
        groups = {group.name: group for group in task_groups(self.name, self.nodes, self.on_error, self.classify)}
        problems = list(problems_between(groups))
        if problems:
            raise TopologyError(self.name, problems)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "fingerprint", fingerprint_of(self.name, self.nodes))

    @property
    def topics(self) -> dict[str, AnyTopic]:
        """{name: topic} of everything that its tasks read or write, in the order of the nodes."""
        return _by_name(topic for group in self.groups.values() for topic in group.topics)

    @property
    def repartition_topics(self) -> dict[str, AnyTopic]:
        """{name: topic} of those between its task groups; a project's prefix precedes the name on a cluster."""
        found = (node.operation.writes for node in self.nodes if node.operation.is_cut)
        return _by_name(topic for topic in found if topic is not None)

    @property
    def global_tables(self) -> tuple[Node, ...]:
        """The nodes of tables that every task sees whole."""
        return tuple(node for node in self.nodes if node.operation.is_global)

    @property
    def stores(self) -> dict[str, AnyStore]:
        """{name: store}, in the order of the nodes."""
        return {store.name: store for node in self.nodes for store in node.operation.stores}


def _by_name(topics: Iterable[AnyTopic]) -> dict[str, AnyTopic]:
    found: dict[str, AnyTopic] = {}
    for topic in topics:
        found.setdefault(topic.name, topic)
    return found
