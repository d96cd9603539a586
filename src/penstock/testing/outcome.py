"""What a pipeline under test has left behind: outputs, state and dead letters, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock.errors import ConfigurationError
from penstock.operators.folding import Folding
from penstock.operators.table import TableSource
from penstock.protocols import SchemaRegistry
from penstock.record import Headers, Record
from penstock.schemas.topic import BoundTopic, Topic
from penstock.state.changelog import split_key
from penstock.state.committed_view import CommittedView
from penstock.state.store import Store
from penstock.state.task_state import TaskState
from penstock.testing.ground import Ground
from penstock.topology.topology import Topology

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, as it stands in its topic.

    Attributes:
        key: the original's.
        value: likewise.
        partition: where the original was read.
        offset: likewise.
        error: the message.
        reason: a word, as in metrics.
        headers: all of them.
    """

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    error: str
    reason: str
    headers: Headers


class Outcome:
    """Reads what is committed.

    Args:
        ground: where the pipeline runs.
        topology: the pipeline.
        registry: of schemas.

    Attributes:
        ground: see there.
    """

    def __init__(self, ground: Ground, topology: Topology, registry: SchemaRegistry) -> None:
        self.ground = ground
        self._topology = topology
        self._registry = registry
        self._bound: dict[str, BoundTopic[Any, Any]] = {}

    def read(self, topic: Topic[K, V]) -> list[Record[K, V]]:
        """What a read_committed consumer is shown of a topic: partition by partition, in offset order."""
        bound = self._opened(topic)
        records = self.ground.committed(topic.name)
        keys, values = bound.decode_keys([r.key for r in records]), bound.decode_values([r.value for r in records])
        for failure in (*keys.failures.values(), *values.failures.values()):
            raise failure
        decoded: list[Any] = [
            Record(
                key=key,
                value=value,
                headers=found.headers,
                timestamp_ms=found.timestamp_ms,
                topic=found.topic,
                partition=found.partition,
                offset=found.offset,
            )
            for key, value, found in zip(keys.values, values.values, records, strict=True)
        ]
        return decoded

    def values(self, topic: Topic[Any, V]) -> list[V]:
        """As `read`, the values only."""
        return [record.value for record in self.read(topic)]

    def dead_letters(self, topic: Topic[Any, Any]) -> list[DeadLetter]:
        """What became of records of this topic that were set aside, by partition, in offset order."""
        found: list[DeadLetter] = []
        for record in self.ground.committed(f"{self.ground.prefix}dlq.{self._topology.name}.{topic.name}"):
            told = {name: (value or b"").decode() for name, value in record.headers}
            found.append(
                DeadLetter(
                    record.key,
                    record.value,
                    int(told["__dlq.errors.partition"]),
                    int(told["__dlq.errors.offset"]),
                    told["__dlq.errors.message"],
                    told["penstock.dlq.reason"],
                    record.headers,
                )
            )
        return found

    def state(self, store: str) -> dict[Any, Any]:
        """{key: value} of a store or table, of all tasks, as of their last commits.

        Raises:
            ConfigurationError: the pipeline has no such store.
        """
        group = next((g for g in self._topology.groups.values() if store in {spec.name for spec in g.stores}), None)
        if group is None:
            raise ConfigurationError(f"'{self._topology.name}' has no store '{store}'")
        spec = next(spec for spec in group.stores if spec.name == store)
        operations = [node.operation for node in group.nodes if isinstance(node.operation, Folding | TableSource)]
        is_timed = any(spec.name in {each.name for each in operation.stores} for operation in operations)
        found: dict[Any, Any] = {}
        for entries in self._entries(f"{self.ground.prefix}{self._topology.name}.{group.name}.changelog"):
            own = {key: value for key, value in entries.items() if split_key(key)[0] == store}
            for key, value in Store(spec, TaskState(own)).scan():
                found[key] = value[0] if is_timed else value
        return found

    def _entries(self, changelog: str) -> list[Mapping[bytes, bytes]]:
        records = self.ground.committed(changelog)
        found: list[Mapping[bytes, bytes]] = []
        for number in range(self.ground.partitions(changelog)):
            view = CommittedView(changelog, number)
            view.feed([record for record in records if record.partition == number])
            found.append(view.entries)
        return found

    def _opened(self, topic: Topic[K, V]) -> BoundTopic[K, V]:
        if topic.name not in self._bound:
            self._bound[topic.name] = topic.bind(self._registry, auto_register=True)
        return self._bound[topic.name]
