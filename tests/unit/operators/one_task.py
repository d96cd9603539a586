"""A pipeline's single task group on lists instead of Kafka: records in, everything observable out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.operators.operator import OpenTopic
from penstock.protocols import SchemaRegistry
from penstock.record import Headers
from penstock.runtime.program import Program
from penstock.runtime.savepoint import SavepointLogic
from penstock.runtime.staged import DeadRecord, Staged
from penstock.state.store import Store
from penstock.state.task_state import TaskState

PARTITIONS = 4
NO_HEADERS: Headers = ()


class StillClock:
    """A clock that stands at a moment."""

    def now_ms(self) -> int:
        return 1_700_000_000_000

    def monotonic_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing here waits, but something asked for {seconds} s")


@dataclass(frozen=True)
class Raw:
    """One record of a source topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int = 0
    headers: Headers = ()


Written = tuple[bytes | None, bytes | None, int, int, Headers]
"""Key, value, timestamp, partition (-1 = by key), headers."""


@dataclass
class Seen:
    """What a reader of committed records sees, and what a restart would find."""

    written: dict[str, list[Written]] = field(default_factory=dict[str, list[Written]])
    dead: list[tuple[str, int, str, str, str]] = field(default_factory=list[tuple[str, int, str, str, str]])
    records: int = 0
    filtered: int = 0
    state: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    stream_times_ms: dict[str, int | None] = field(default_factory=dict[str, int | None])
    event_time_ms: int | None = None

    def add(self, source: SourceBatch, staged: Staged) -> None:
        for output in staged.outputs:
            count = len(output.keys)
            rows = zip(
                output.keys,
                output.values,
                output.timestamps_ms,
                output.partitions or [-1] * count,
                output.headers or [()] * count,
                strict=True,
            )
            self.written.setdefault(output.topic, []).extend(rows)
        self.dead += [self._dead(source, each) for each in staged.dead]
        self.records += staged.records
        self.filtered += staged.filtered
        if staged.event_time_ms is not None:
            self.event_time_ms = staged.event_time_ms

    @staticmethod
    def _dead(source: SourceBatch, dead: DeadRecord) -> tuple[str, int, str, str, str]:
        return source.topic, source.offsets[dead.place], dead.stage, dead.operator, type(dead.error).__name__


class Everywhere:
    """What a global table holds, the same for ever."""

    def __init__(self, values: Mapping[Any, Any]) -> None:
        self._values = values

    def find(self, keys: Sequence[Any]) -> list[Any]:
        return [self._values.get(key) for key in keys]


class OneTask:
    """The task of partition 2 of a pipeline's task groups, most often one; its global tables all hold `everywhere`.

    Topics have four partitions; the `narrow` ones have one, so that this task reads nothing of them.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        registry: SchemaRegistry | None = None,
        everywhere: Mapping[Any, Any] | None = None,
        narrow: Collection[str] = (),
    ) -> None:
        self.topology = pipeline.topology()
        self.logics: dict[str, SavepointLogic] = {}
        self.states: dict[str, TaskState] = {}
        for group in self.topology.groups.values():
            state = self.states[group.name] = TaskState()
            opened = {
                topic.name: OpenTopic(
                    topic.bind(registry, auto_register=True), 1 if topic.name in narrow else PARTITIONS
                )
                for topic in group.topics
            }
            content = {node.name: Everywhere(everywhere or {}) for node in group.global_tables}
            program = Program(group, opened, state, StillClock(), 2, content)
            program.open()
            logic = SavepointLogic(program, state)
            self.logics |= {topic.name: logic for topic in group.input_topics}
        self._offsets: dict[str, int] = {}

    def run(self, batch: SourceBatch) -> Staged:
        return self.logics[batch.topic].run_batch(batch)

    def feed(self, records: Sequence[Raw], cuts: Iterable[int] = ()) -> Seen:
        """Run the records in this order; a batch ends at each of these places, and where the topic changes."""
        seen = Seen()
        for batch in self.batches(records, cuts):
            seen.add(batch, self.run(batch))
        self.commit()
        seen.state = self.committed()
        seen.stream_times_ms = {topic: logic.time.now_ms for topic, logic in self.logics.items()}
        return seen

    def batches(self, records: Sequence[Raw], cuts: Iterable[int] = ()) -> list[SourceBatch]:
        ends = {0, *cuts}
        found: list[SourceBatch] = []
        for place, raw in enumerate(records):
            if place in ends or found[-1].topic != raw.topic:
                found.append(SourceBatch(raw.topic, 2, [], [], [], []))
            batch = found[-1]
            offset = self._offsets[raw.topic] = self._offsets.get(raw.topic, 98) + 2  # with gaps, as there are
            batch.offsets.append(offset)
            batch.keys.append(raw.key)
            batch.values.append(raw.value)
            batch.timestamps_ms.append(raw.timestamp_ms)
            if raw.headers and batch.headers is None:
                batch.headers = [NO_HEADERS] * (len(batch.offsets) - 1)
            if batch.headers is not None:
                batch.headers.append(raw.headers)
        return found

    def commit(self) -> None:
        for state in self.states.values():
            state.prepare()
            state.apply()

    def committed(self) -> dict[bytes, bytes]:
        return {key: value for state in self.states.values() for key, value in state.committed.items()}

    def close(self) -> None:
        for logic in self.logics.values():
            logic.close()

    def store(self, name: str) -> Store[Any, Any]:
        (group,) = [group for group in self.topology.groups.values() if name in {spec.name for spec in group.stores}]
        return Store(self.topology.stores[name], self.states[group.name])
