"""What a worker's transactions make visible: kept aside while one is open, counted with its commit, else dropped."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from penstock.deadletter.envelope import Stage
from penstock.monitoring import catalogue
from penstock.monitoring.instruments import Counter, Histogram
from penstock.runtime.hooks import BatchReport


@dataclass(slots=True)
class _Pending:
    """What the open transaction has come to."""

    records: Tally[tuple[str, str]] = field(default_factory=Tally[tuple[str, str]])
    input_bytes: Tally[str] = field(default_factory=Tally[str])
    outputs: Tally[str] = field(default_factory=Tally[str])
    output_bytes: Tally[str] = field(default_factory=Tally[str])
    late: Tally[str] = field(default_factory=Tally[str])
    dead: Tally[tuple[str, str]] = field(default_factory=Tally[tuple[str, str]])
    timestamps_ms: list[Sequence[int]] = field(default_factory=list[Sequence[int]])
    event_times_ms: list[Sequence[int]] = field(default_factory=list[Sequence[int]])


class Effects:
    """Counts what is committed.

    Args:
        pipeline: the worker's.
    """

    def __init__(self, pipeline: str) -> None:
        self._records = Counter(catalogue.RECORDS_COMMITTED, pipeline)
        self._input_bytes = Counter(catalogue.INPUT_BYTES, pipeline)
        self._outputs = Counter(catalogue.OUTPUT_RECORDS, pipeline)
        self._output_bytes = Counter(catalogue.OUTPUT_BYTES, pipeline)
        self._late = Counter(catalogue.LATE_RECORDS, pipeline)
        self._dead = Counter(catalogue.DLQ_RECORDS, pipeline)
        self._latency = Histogram(catalogue.EVENT_LATENCY, pipeline)
        self._pending = _Pending()

    @property
    def instruments(self) -> tuple[Counter | Histogram, ...]:
        """All of them."""
        return (
            self._records, self._input_bytes, self._outputs, self._output_bytes, self._late, self._dead, self._latency,
        )  # fmt: skip

    def expect(self, topics: Iterable[str]) -> None:
        """These are read: their counters are there before the first step, which a rate would not see otherwise."""
        for topic in topics:
            self._input_bytes.add(0, topic)
            self._late.add(0, topic)
            for outcome in catalogue.OUTCOMES:
                self._records.add(0, topic, outcome)
            for stage in catalogue.RECORD_STAGES:
                self._dead.add(0, topic, stage)

    def batch(self, batch: BatchReport) -> None:
        """A batch is staged."""
        pending, topic = self._pending, batch.topic
        pending.records[topic, "ok"] += batch.records - batch.filtered - batch.dead_letters
        pending.records[topic, "filtered"] += batch.filtered
        pending.records[topic, "dlq"] += batch.dead_letters
        pending.records[topic, "parked"] += batch.parked
        pending.late[topic] += batch.late
        pending.outputs.update(batch.outputs)
        pending.output_bytes.update(batch.output_bytes)
        dealt_with = batch.records + batch.parked
        if batch.source is not None and dealt_with:
            pending.input_bytes[topic] += batch.source.size_bytes
            pending.timestamps_ms.append(batch.source.timestamps_ms[:dealt_with])
        if batch.event_times_ms:
            pending.event_times_ms.append(batch.event_times_ms)

    def dead_letter(self, topic: str, stage: Stage) -> None:
        """A dead letter is staged."""
        self._pending.dead[topic, stage] += 1

    def commit(self, now_ms: int) -> None:
        """What was staged is visible."""
        pending, self._pending = self._pending, _Pending()
        for (topic, outcome), count in pending.records.items():
            self._records.add(count, topic, outcome)
        for counter, counts in (
            (self._input_bytes, pending.input_bytes),
            (self._outputs, pending.outputs),
            (self._output_bytes, pending.output_bytes),
            (self._late, pending.late),
        ):
            for topic, count in counts.items():
                counter.add(count, topic)
        for (topic, stage), count in pending.dead.items():
            self._dead.add(count, topic, stage)
        for clock, columns in (("append", pending.timestamps_ms), ("event", pending.event_times_ms)):
            for stamps_ms in columns:
                self._latency.observe_ages(stamps_ms, now_ms, clock)

    def discard(self) -> None:
        """What was staged is gone."""
        self._pending = _Pending()
