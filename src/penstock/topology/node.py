"""A node of the graph: a name, what it does, where its records come from."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from penstock.topology.policy import Policy as Policy  # noqa: PLC0414 - a node's policy is named with the node

Start = Literal["earliest", "latest"]
"""Where a group that never read a topic begins."""

AnyTopic = Topic[Any, Any]
AnyStore = StoreSpec[Any, Any]


class Port(NamedTuple):
    """One of a node's ways out; only a branch has more than one."""

    node: str
    way: int = 0

    def __str__(self) -> str:
        """The node's name; a way out other than the first is shown too."""
        return f"{self.node}.{self.way}" if self.way else self.node


class Operation(ABC):
    """What a node does, as far as the graph has to know it; `penstock.operators`, above, makes it run.

    Attributes:
        kind: the word for it in descriptions and in the fingerprint.
        is_keyed: all records of one key must meet in one task.
        is_end: it may be the last on a record's way.
        is_cut: what comes behind it is another task group, which reads its records from a topic.
        is_global: every task looks things up in all of it, so it belongs to no task group.
        changes_keys: it may give a record another key.
        is_passive: its stores are not what a record comes to.
    """

    kind: ClassVar[str]
    is_keyed: ClassVar[bool] = False
    is_end: ClassVar[bool] = False
    is_cut: ClassVar[bool] = False
    is_global: ClassVar[bool] = False
    changes_keys: ClassVar[bool] = False
    is_passive: ClassVar[bool] = False

    @property
    def ports(self) -> int:
        """Ways out."""
        return 1

    @property
    def stores(self) -> tuple[AnyStore, ...]:
        """The stores that it reads or writes."""
        return ()

    @property
    def writes(self) -> AnyTopic | None:
        """The topic that it writes to."""
        return None

    @property
    def suggested_name(self) -> str:
        """A name for a node that was given none."""
        return self.kind

    def settings(self) -> Mapping[str, str]:
        """What else decides its results, for description and fingerprint."""
        return {}

    def problems(self) -> list[str]:
        """What is wrong with it by itself."""
        return []


@dataclass(frozen=True, slots=True, eq=False)
class Source(Operation):
    """Reads a topic.

    Attributes:
        topic: what is read.
        timestamp: event time of a value; None = Kafka's timestamp.
        start: where a group that never read the topic begins.
    """

    kind = "source"

    topic: AnyTopic
    timestamp: Callable[[Any], datetime | int] | None = None
    start: Start = "earliest"

    @property
    def suggested_name(self) -> str:
        """The topic's name, made a name of ours."""
        return slug(self.topic.name)

    def settings(self) -> Mapping[str, str]:
        """Start position, and whether event time is read from the value."""
        return {"start": self.start, "event time": "kafka" if self.timestamp is None else "value"}


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a pipeline.

    Attributes:
        name: unique in the pipeline.
        operation: what it does.
        parents: where its records come from; none for a source.
        tables: names of the nodes whose stores it looks things up in.
        on_error: its own policy; None = the pipeline's.
    """

    name: str
    operation: Operation
    parents: tuple[Port, ...] = ()
    tables: tuple[str, ...] = ()
    on_error: Policy | None = None

    @property
    def source(self) -> Source | None:
        """The source that it is, if it is one."""
        return self.operation if isinstance(self.operation, Source) else None

    @property
    def input_topic(self) -> AnyTopic | None:
        """What is read where records come in by this node: a source's topic, or the one that a cut writes."""
        if isinstance(self.operation, Source):
            return self.operation.topic
        return self.operation.writes if self.operation.is_cut else None


def slug(text: str) -> str:
    """The text in lower-case letters, digits and dashes."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())
    return "-".join(filter(None, kept.split("-")))[:63].strip("-")


def code_slug(name: str) -> str:
    """A name from code: `to_status` and `ToStatus` become `to-status`."""
    return slug(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name))


def function_slug(kind: str, function: object) -> str:
    """`map-to-status` for a function with a name, `map` for a lambda."""
    name = getattr(function, "__name__", type(function).__name__)
    return kind if name == "<lambda>" else f"{kind}-{code_slug(name)}"[:63].strip("-")
