"""The worker's small cluster in memory, run with faults, and its history.

Transactions are atomic there, nothing is in flight and nothing is late, so it shows what needs no more than a discarded
transaction, a commit in doubt or a restart. The rest is for the simulated cluster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from penstock.dsl.pipeline import Pipeline
from penstock.kafka.partitioner import partition_for
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
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
from tests.unit.runtime.in_memory import Cluster, Disk, Fault, Written, running

ROWS = 30
PARTITIONS = 2
WRITER = Writer(1, 0)
"""Transactions are atomic there, so one producer stands for all of a worker's lives."""


def pipeline() -> Pipeline:
    """A sum per key; every fifth record is no number, and some sums cannot be shown."""

    def show(total: int) -> str:
        if total % 8 == 3:
            raise ValueError
        return str(total)

    made = Pipeline("p", on_error="dead_letter")
    numbers = made.stream(Topic("in", key=str, value=str)).map(int, name="parse")
    total = numbers.aggregate(int, lambda total, n: total + n, name="sum")
    total.to_stream().map(show, name="show").to(Topic("out", key=str, value=str))
    return made


def add(record: Input, state: State) -> Iterator[Effect]:
    """What the pipeline should do to one record."""
    if record.value == b"bad":
        yield DeadLetter()
        return
    total = state.get(record.key, 0) + int(record.value or b"")
    if total % 8 == 3:
        yield DeadLetter()
    else:
        state[record.key] = total
        yield Output("out", record.key, b"%d" % total)


MODEL = Model(
    "p",
    [
        Stage(
            "in",
            ["in"],
            add,
            ["out"],
            {"in": "dlq.in"},
            changelog="in.changelog",
            key=lambda key: key.removeprefix(b"\x03sum"),
            value=lambda _, value: msgspec.msgpack.decode(value[1:])[0],
        )
    ],
)


@dataclass(frozen=True)
class Run:
    """What happens.

    Attributes:
        faults: {(call, how manyeth, from 1): what it comes to}.
        restarts: after so many steps the process is gone, without a word, and another one begins.
        batch: records in one, at most.
    """

    faults: Mapping[tuple[str, int], Fault] = field(default_factory=dict[tuple[str, int], Fault])
    restarts: tuple[int, ...] = ()
    batch: int = 3

    def history(self, state: Path) -> History:
        """Let it happen. What a broken engine raises on the way ends a life of the worker, as it ends a process."""
        rows = [(n + n // 6, n) for n in range(ROWS)]
        cluster = Cluster(
            {
                ("in", p): [(o, b"k%d" % (2 * (n % 3) + p), _value(n, p), n + 1) for o, n in rows]
                for p in range(PARTITIONS)
            },
            ends={("in", p): rows[-1][0] + 3 for p in range(PARTITIONS)},
            faults=dict(self.faults),
        )
        for steps in (*self.restarts, None):
            life = running(cluster, pipeline(), WorkerLimits(max_batch_records=self.batch), Disk(state))
            with contextlib.suppress(Exception):
                if steps is None:
                    life.until_idle()
                for _ in range(steps or 0):
                    life.worker.step()
                    life.clock.now_s += 0.05
            with contextlib.suppress(Exception):
                life.worker.leave()  # commits nothing; a process that is gone has let go of its files as well
        return history_of(cluster)


def _value(n: int, partition: int) -> bytes:
    return b"bad" if n % 5 == 4 else b"%d" % (7 * n + partition + 1)


def history_of(cluster: Cluster) -> History:
    """Everything that became visible, transaction by transaction."""
    history = History()
    for place in [(topic, p) for topic in MODEL.topics for p in range(PARTITIONS)]:
        history.logs[Place(*place)] = Log()
    for place, rows in cluster.inputs.items():
        entries = [Data(StoredRecord(offset, time_ms, key, value, ())) for offset, key, value, time_ms in rows]
        history.logs[Place(*place)] = Log(list(entries), next_offset=cluster.end(place))
    for records, offsets in cluster.transactions:
        touched: list[Log[Any]] = []
        for written in records:
            log: Log[Any] = history.logs[_place(written)]
            stored = StoredRecord(log.next_offset, written.timestamp_ms, written.key, written.value, written.headers)
            _append(log, Data(stored, WRITER, is_transactional=True), touched)
        for place, (next_offset, metadata) in offsets.items():
            at = history.offsets.next_offset
            commit = OffsetCommit(at, Place(*place), next_offset, metadata, WRITER, is_transactional=True)
            _append(history.offsets, commit, touched)
        for log in touched:
            log.entries.append(Marker(log.next_offset, WRITER, is_commit=True))
            log.next_offset += 1
    return history


def _append(log: Log[Any], entry: Data | OffsetCommit, touched: list[Log[Any]]) -> None:
    log.entries.append(entry)
    log.next_offset += 1
    if not any(log is each for each in touched):
        touched.append(log)


def _place(written: Written) -> Place:
    if written.partition >= 0:
        return Place(written.topic, written.partition)
    return Place(written.topic, partition_for(written.key or b"", PARTITIONS))
