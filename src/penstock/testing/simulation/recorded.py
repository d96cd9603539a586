"""What a simulated cluster has recorded, as a history, and what a shape should do, as a model: for the history checker.

It is a second judge, which looks at transactions and writers too, and knows no more of the engine than `verdict.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.offsets import OffsetMarker
from penstock.testing.cluster.partition import Kind, SimulatedPartition
from penstock.testing.history import (
    Data,
    DeadLetter,
    Effect,
    History,
    Input,
    Log,
    Marker,
    Model,
    OffsetCommit,
    Output,
    Place,
    Stage,
    State,
    Writer,
)
from penstock.testing.record_batch import StoredRecord
from penstock.testing.simulation.model import Given, values_of
from penstock.testing.simulation.shape import BETWEEN, FIRST, IN, PIPELINE, PLAIN, SECOND, TABLE, Shape

Process = Callable[[Input, State], Iterator[Effect]]


def history_of(cluster: SimulatedCluster, group: str) -> History:
    """Every partition's log and the group's, with what is open or was aborted."""
    logs = {
        Place(topic, number): _log(log)
        for topic, found in cluster.topics.items()
        for number, log in enumerate(found.partitions)
    }
    return History(logs, _group_log(cluster, group))


def _log(log: SimulatedPartition) -> Log[Data]:
    entries: list[Data | Marker] = []
    for entry in log.entries:  # also what was purged meanwhile: a simulated log forgets nothing
        writer = Writer(entry.producer_id, entry.epoch)
        if entry.kind is Kind.DATA:
            record = StoredRecord(entry.offset, entry.timestamp_ms, entry.key, entry.value, entry.headers)
            entries.append(Data(record, writer, is_transactional=entry.producer_id >= 0))
        else:
            entries.append(Marker(entry.offset, writer, entry.kind is Kind.COMMIT))
    return Log(entries, 0, log.high_watermark)


def _group_log(cluster: SimulatedCluster, group: str) -> Log[OffsetCommit]:
    entries: list[OffsetCommit | Marker] = []
    for offset, entry in enumerate(cluster.groups.group(group).offsets.log):
        writer = Writer(entry.producer_id, entry.epoch)
        if isinstance(entry, OffsetMarker):
            entries.append(Marker(offset, writer, entry.is_commit))
            continue
        source, is_transactional = Place(*entry.partition), entry.producer_id >= 0
        entries.append(
            OffsetCommit(offset, source, entry.next_offset, entry.metadata, writer, is_transactional=is_transactional)
        )
    return Log(entries, 0, len(entries))


def model_of(shape: Shape) -> Model:
    """The pipeline as a function of one record and a task's state."""
    sources = [TABLE, IN] if shape.joins else [IN]
    has_state = shape.folds or shape.joins
    outputs = {PLAIN: shape.writes_plain, FIRST: shape.folds, BETWEEN: shape.keys > 0}
    stages = [
        Stage(
            "in",
            sources,
            _first_half(shape),
            outputs=[topic for topic, is_there in outputs.items() if is_there],
            dead_letters={topic: f"dlq.{PIPELINE}.{topic}" for topic in sources},
            changelog=f"{PIPELINE}.{IN}.changelog" if has_state else None,
            key=_key,
            value=_value,
        ),
        Stage(
            "again",
            [BETWEEN],
            _second_half(shape),
            outputs=[SECOND],
            dead_letters={BETWEEN: f"dlq.{BETWEEN}"},
            changelog=f"{PIPELINE}.again.changelog",
            key=_key,
            value=_value,
        ),
    ]
    return Model(PIPELINE, stages if shape.keys else stages[:1])


def _first_half(shape: Shape) -> Process:
    def process(record: Input, state: State) -> Iterator[Effect]:
        key = (record.key or b"").decode()
        if record.topic == TABLE:
            state["labels", key] = (record.value or b"").decode()
            return
        table = {key: state["labels", key]} if ("labels", key) in state else {}
        given = Given(record.offset, key, record.value or b"")
        values = values_of(given, shape.before, table if shape.joins else None)
        if values is None:
            yield DeadLetter()
            return
        for value in values if shape.writes_plain else ():
            yield Output(PLAIN, record.key, value.encode())
        for value in values if shape.folds else ():
            yield _grown("first", FIRST, key, value, state)
        for value in values if shape.keys else ():
            number, _, _ = value.partition("/")
            yield Output(BETWEEN, f"k{int(number) % shape.keys}".encode(), value.encode())

    return process


def _second_half(shape: Shape) -> Process:
    def process(record: Input, state: State) -> Iterator[Effect]:
        key = (record.key or b"").decode()
        values = values_of(Given(record.offset, key, record.value or b""), shape.after, None)
        if values is None:
            yield DeadLetter()
            return
        for value in values:
            yield _grown("second", SECOND, key, value, state)

    return process


def _grown(store: str, topic: str, key: str, value: str, state: State) -> Output:
    before = state.get((store, key), "")
    state[store, key] = grown = f"{before} {value}" if before else value
    return Output(topic, key.encode(), grown.encode())


def _key(stored: bytes) -> tuple[str, str]:
    """A changelog's key: the store's name behind its length, then the key (docs/reference/names-and-formats.md)."""
    length = stored[0]
    return stored[1 : length + 1].decode(), stored[length + 1 :].decode()


def _value(key: bytes, stored: bytes) -> str:
    """A table's value stands behind a version and beside a time."""
    del key
    value, _time_ms = msgspec.msgpack.decode(stored[1:], type=tuple[str, int])
    return value
