"""The tasks of a pipeline that keep state, read one by one out of their changelogs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, get_args

import msgspec

from penstock.cli.changelog_partition import ChangelogPartition
from penstock.cli.reading_display import ReadingDisplay
from penstock.cli.rendering import printable
from penstock.clock import SystemClock
from penstock.config import Config
from penstock.errors import UsageError
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.operators.folding import Folding
from penstock.operators.table import TableSource
from penstock.runtime.internal_topics import changelog_topic
from penstock.runtime.state_reading import StateReading, read_state
from penstock.state.changelog import prefix_of, split_key, store_prefix
from penstock.state.committed_view import CommittedView
from penstock.state.digest import EMPTY
from penstock.state.store import Store
from penstock.state.task_state import TaskState
from penstock.topology.groups import TaskGroup
from penstock.topology.node import AnyStore
from penstock.topology.topology import Topology
from penstock.topology.type_names import type_name

BUDGET_S = 10.0
CLIENT_ID = "penstock-state"


@dataclass(frozen=True, slots=True)
class Held:
    """What one task holds of one store; `types` says so where the code does not keep it."""

    name: str
    types: str
    keys: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReadTask:
    """One task, read.

    Attributes:
        group: its task group.
        partition: its partition.
        changelog: the topic.
        types: {store: its keys and values} of the group, as the code has them.
        reading: what was read.
    """

    group: str
    partition: int
    changelog: str
    types: dict[str, str]
    reading: StateReading

    def __str__(self) -> str:
        """As in logs: `group[partition]`."""
        return f"{self.group}[{self.partition}]"

    def store(self, spec: AnyStore) -> Store[Any, Any]:
        """One of its stores, decoded; to be read only."""
        return Store(spec, TaskState(dict(self.reading.view.entries), digest=EMPTY))

    def held(self) -> list[Held]:
        """Every store of the code, and those that only the changelog has."""
        counts: Counter[bytes] = Counter()
        sizes: Counter[bytes] = Counter()
        for key, value in self.reading.view.entries.items():
            prefix = prefix_of(key)
            counts[prefix] += 1
            sizes[prefix] += len(key) + len(value)
        unknown = sorted({split_key(prefix)[0] for prefix in counts} - self.types.keys())
        return [
            Held(name, self.types.get(name, "not in the code"), counts[store_prefix(name)], sizes[store_prefix(name)])
            for name in [*self.types, *unknown]
        ]

    def line(self) -> tuple[str, ...]:
        """For a table: task, keys, commit, at, by, next offsets, digest."""
        view = self.reading.view
        commit = view.last_commit
        if commit is None or view.committed_at is None:
            return str(self), f"{len(view.entries):,}", "none yet"
        offsets = ", ".join(f"{topic}={offset}" for topic, offset in sorted(commit.next_offsets.items()))
        return (
            str(self),
            f"{len(view.entries):,}",
            str(commit.sequence),
            _iso(view.committed_at),
            commit.writer,
            offsets,
            "as committed" if view.is_verified else "differs",
        )

    def as_data(self) -> dict[str, object]:
        """For JSON."""
        view = self.reading.view
        commit = view.last_commit
        return {
            "task_group": self.group,
            "partition": self.partition,
            "changelog": self.changelog,
            "keys": len(view.entries),
            "bytes": sum(len(key) + len(value) for key, value in view.entries.items()),
            "stores": [
                {"name": held.name, "is_in_code": held.name in self.types, "keys": held.keys, "bytes": held.bytes}
                for held in self.held()
            ],
            "last_commit": None
            if commit is None or view.committed_at is None
            else {
                "sequence": commit.sequence,
                "writer": commit.writer,
                "owner_epoch": commit.owner_epoch,
                "committed_at": _iso(view.committed_at),
                "stream_time_ms": commit.stream_time_ms,
                "next_offsets": commit.next_offsets,
                "topology": commit.topology,
            },
            "verified": view.is_verified,
            "open_transaction_from": self.reading.open_from,
        }


class StateTasks:
    """The tasks with state, to be read inside of the block.

    Args:
        config: the project's.
        topology: of the pipeline.
    """

    def __init__(self, config: Config, topology: Topology) -> None:
        self._connection = Connection.of(config.kafka)
        self._admin = Admin(self._connection, budget_s=BUDGET_S)
        self._prefix = config.project.prefixed("")
        self._topology = topology
        self._display = ReadingDisplay()
        self.pipeline = topology.name

    def __enter__(self) -> Self:
        """Show progress from now on."""
        self._display.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """No more."""
        self._display.__exit__(kind, exc, tb)

    @property
    def stores(self) -> dict[str, AnyStore]:
        """{name: store} as the code has them."""
        return self._topology.stores

    @property
    def timed_stores(self) -> frozenset[str]:
        """Stores whose values are pairs of a value and a time: tables and aggregates."""
        operations = [node.operation for node in self._topology.nodes]
        kept = [each for each in operations if isinstance(each, Folding | TableSource)]
        return frozenset(spec.name for each in kept for spec in each.stores)

    def read(self, store: str | None = None, partition: int | None = None) -> Iterator[ReadTask]:
        """Each task's committed state, as it comes.

        Args:
            store: only of the task group that keeps this store.
            partition: only of this partition.

        Raises:
            UsageError: there is no changelog, or no such partition.
        """
        groups = [g for g in self._topology.groups.values() if g.stores]
        if store is not None:
            groups = [g for g in groups if store in {spec.name for spec in g.stores}]
        if not groups:
            raise UsageError(f"pipeline '{self.pipeline}' keeps no state")
        there = self._admin.topics()
        for group in groups:
            changelog = changelog_topic(self.pipeline, group, 1, self._prefix).name
            if changelog not in there:
                raise UsageError(
                    f"there is no topic '{changelog}': pipeline '{self.pipeline}' never ran on this cluster, or under "
                    "another prefix or profile"
                )
            count = there[changelog].partitions
            if partition is not None and partition >= count:
                raise UsageError(f"task group '{group.name}' has tasks 0 to {count - 1}, not {partition}")
            for each in range(count) if partition is None else [partition]:
                yield self._read(group, changelog, each)

    def _read(self, group: TaskGroup, changelog: str, partition: int) -> ReadTask:
        self._display.begin(f"{group.name}[{partition}]")
        reader = ChangelogPartition(self._connection, self._admin, (changelog, partition), CLIENT_ID)
        try:
            reading = read_state(
                CommittedView(changelog, partition),
                reader,
                stable_end=reader.stable_end,
                clock=SystemClock(),
                on_progress=self._display.advance,
            )
        finally:
            reader.close()
        return ReadTask(group.name, partition, changelog, dict(map(self._named_types, group.stores)), reading)

    def _named_types(self, spec: AnyStore) -> tuple[str, str]:
        value = get_args(spec.value)[0] if spec.name in self.timed_stores else spec.value
        return spec.name, f"{type_name(spec.key)} -> {type_name(value)}"


def shown_value(value: object) -> str:
    """One line for a terminal."""
    if isinstance(value, str):
        return printable(value)
    return printable(msgspec.json.encode(value, enc_hook=str).decode())


def moment(timestamp_ms: int) -> str:
    """Milliseconds since 1970 as a person reads them, UTC."""
    return _iso(datetime.fromtimestamp(timestamp_ms / 1000, UTC))


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"
