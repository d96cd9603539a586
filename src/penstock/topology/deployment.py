"""What a pipeline runs with, as plain data: its graph and how wide its inputs are. And the form in which that is kept.

The fingerprint says *that* two graphs differ; this says *in what*. Everything in it is names and shapes, never code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from penstock.errors import OperatorMustDecide
from penstock.topology.description import as_data
from penstock.topology.topology import Topology

FORMAT: Final = 1
REPARTITION: Final = ".repartition"
"""How the topics between task groups end."""


class StoreForm(msgspec.Struct, frozen=True, kw_only=True):
    """A store, as `type_names.describe_store` tells it."""

    name: str
    key: str
    value: str
    shape: str
    version: int = 1


class TopicForm(msgspec.Struct, frozen=True, kw_only=True):
    """A topic, as `type_names.describe_topic` tells it."""

    name: str
    key: str = ""
    value: str = ""
    tombstones: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A node, as `fingerprint.describe_node` tells it."""

    name: str
    kind: str
    parents: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    settings: Mapping[str, str] = {}
    stores: tuple[StoreForm, ...] = ()
    reads: TopicForm | None = None
    writes: TopicForm | None = None

    @property
    def is_internal(self) -> bool:
        """Whether what it writes is a topic between two task groups."""
        return self.writes is not None and self.writes.name.endswith(REPARTITION)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A task group: its name is part of its changelog's, so state under another name is other state."""

    name: str
    nodes: tuple[Step, ...] = ()

    @property
    def stores(self) -> dict[str, StoreForm]:
        """{name: store} of what its changelog holds."""
        return {store.name: store for node in self.nodes for store in node.stores}

    @property
    def has_changelog(self) -> bool:
        """Whether it has something to remember: stores, or how far in time the tasks in front of it are."""
        own = {node.name for node in self.nodes}
        return bool(self.stores) or any(
            parent.partition(".")[0] not in own for node in self.nodes for parent in node.parents
        )

    @property
    def tables(self) -> dict[str, TopicForm]:
        """{store: the topic that it repeats}: what can be read again from its beginning."""
        return {node.stores[0].name: node.reads for node in self.nodes if node.reads is not None and node.stores}


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline runs with.

    Attributes:
        pipeline: its name.
        fingerprint: of the topology.
        groups: in the topology's order.
        partitions: {source topic: how many it has}, of those that are there.
    """

    pipeline: str
    fingerprint: str
    groups: tuple[Group, ...] = ()
    partitions: Mapping[str, int] = {}

    def group(self, name: str) -> Group | None:
        """The task group of this name."""
        return next((group for group in self.groups if group.name == name), None)

    def keeps(self, group: str) -> bool:
        """Whether there is a changelog of a group of this name."""
        found = self.group(group)
        return found is not None and found.has_changelog


class DeploymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One deploy, as a MessagePack map by field name; fields that a reader does not know are ignored.

    Attributes:
        format: of this record; a newer one is refused.
        deployment: what was deployed.
        writer: the worker that did it, as a `transactional.id`.
        recorded_ms: when, milliseconds since 1970 UTC.
        accepted: what was lost by it and said to be acceptable, a line each.
        release: of penstock.
    """

    format: int = FORMAT
    deployment: Deployment
    writer: str
    recorded_ms: int
    accepted: tuple[str, ...] = ()
    release: str = ""


class _Version(msgspec.Struct):
    format: int


_version = msgspec.msgpack.Decoder(_Version)
_record = msgspec.msgpack.Decoder(DeploymentRecord)


def deployment_of(topology: Topology, partitions: Mapping[str, int]) -> Deployment:
    """What the code says, on topics of these widths.

    Args:
        topology: the graph.
        partitions: {topic: how many it has}; others than its sources are left out.
    """
    sources = [topic.name for group in topology.groups.values() for topic in group.source_topics]
    widths = {name: partitions[name] for name in sources if name in partitions}
    return msgspec.convert({**as_data(topology), "partitions": widths}, Deployment)


def encode(record: DeploymentRecord) -> bytes:
    """The record's bytes."""
    return msgspec.msgpack.encode(record)


def decode(data: bytes, where: str) -> DeploymentRecord:
    """The record in these bytes, read at `where` (topic, partition, offset).

    Raises:
        OperatorMustDecide: written by a newer release, or no such record at all; the message says which.
    """
    try:
        version = _version.decode(data).format
        if version > FORMAT:
            raise OperatorMustDecide(
                f"{where}: a deployed topology in format {version}, this release reads up to {FORMAT}; "
                "run the release that wrote it, or a later one"
            )
        return _record.decode(data)
    except msgspec.DecodeError as err:
        raise OperatorMustDecide(
            f"{where}: no deployed topology; find out what else writes to this topic and stop it"
        ) from err
