"""What a worker's transactions make visible: kept aside while one is open, counted with its commit, else dropped.

A batch costs a few additions here, whatever its size; a record costs its share of sorting the timestamps at the commit.

A record that was slow, or failed, is named by its trace, where its headers have one. Of a transaction's records only
one is kept for that, the first of the oldest batch, and its headers are not read unless it was slow.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from penstock.deadletter.envelope import Stage
from penstock.monitoring import catalogue
from penstock.monitoring.exposition import Exemplar
from penstock.monitoring.instruments import Counter, Histogram
from penstock.monitoring.trace import exemplar
from penstock.record import Headers
from penstock.runtime.hooks import BatchReport


@dataclass(slots=True)
class _Input:
    """What the open transaction has come to of one input topic."""

    ok: int = 0
    filtered: int = 0
    dlq: int = 0
    parked: int = 0
    late: int = 0
    size_bytes: int = 0
    timestamps_ms: list[Sequence[int]] = field(default_factory=list[Sequence[int]])
    event_times_ms: list[Sequence[int]] = field(default_factory=list[Sequence[int]])
    oldest: tuple[int, Headers] | None = None


@dataclass(slots=True)
class _Output:
    """Likewise of one output topic."""

    records: int = 0
    size_bytes: int = 0


class Effects:
    """Counts what is committed.

    Args:
        pipeline: the worker's.
        slow_s: an older record is slow; None = none is.
    """

    def __init__(self, pipeline: str, slow_s: float | None) -> None:
        self._slow_s = slow_s
        self._records = Counter(catalogue.RECORDS_COMMITTED, pipeline)
        self._input_bytes = Counter(catalogue.INPUT_BYTES, pipeline)
        self._output_records = Counter(catalogue.OUTPUT_RECORDS, pipeline)
        self._output_bytes = Counter(catalogue.OUTPUT_BYTES, pipeline)
        self._late = Counter(catalogue.LATE_RECORDS, pipeline)
        self._dead_letters = Counter(catalogue.DLQ_RECORDS, pipeline)
        self._latency = Histogram(catalogue.EVENT_LATENCY, pipeline)
        self._inputs: dict[str, _Input] = {}
        self._outputs: dict[str, _Output] = {}
        self._dead: Tally[tuple[str, str]] = Tally()
        self._dead_in: dict[tuple[str, str], Exemplar] = {}

    @property
    def instruments(self) -> tuple[Counter | Histogram, ...]:
        """All of them."""
        return (
            self._records, self._input_bytes, self._output_records, self._output_bytes, self._late, self._dead_letters,
            self._latency,
        )  # fmt: skip

    def expect(self, topics: Iterable[str]) -> None:
        """These are read: their counters are there before the first step, which a rate would not see otherwise."""
        for topic in topics:
            self._input_bytes.add(0, topic)
            self._late.add(0, topic)
            for outcome in catalogue.OUTCOMES:
                self._records.add(0, topic, outcome)
            for stage in catalogue.RECORD_STAGES:
                self._dead_letters.add(0, topic, stage)

    def batch(self, batch: BatchReport) -> None:
        """A batch is staged."""
        read = self._inputs.get(batch.topic)
        if read is None:
            read = self._inputs[batch.topic] = _Input()
        read.ok += batch.records - batch.filtered - batch.dead_letters
        read.filtered += batch.filtered
        read.dlq += batch.dead_letters
        read.parked += batch.parked
        read.late += batch.late
        for topic, records in batch.outputs.items():
            written = self._outputs.get(topic)
            if written is None:
                written = self._outputs[topic] = _Output()
            written.records += records
            written.size_bytes += batch.output_bytes.get(topic, 0)
        source, dealt_with = batch.source, batch.records + batch.parked
        if source is not None and dealt_with:
            read.size_bytes += source.size_bytes
            stamps_ms = source.timestamps_ms
            read.timestamps_ms.append(stamps_ms if dealt_with == len(stamps_ms) else stamps_ms[:dealt_with])
            if source.headers is not None and (read.oldest is None or stamps_ms[0] < read.oldest[0]):
                read.oldest = stamps_ms[0], source.headers[0]
        if batch.event_times_ms:
            read.event_times_ms.append(batch.event_times_ms)

    def dead_letter(self, topic: str, stage: Stage, traced: Exemplar | None) -> None:
        """A dead letter is staged."""
        self._dead[topic, stage] += 1
        if traced is not None:
            self._dead_in[topic, stage] = traced

    def commit(self, now_ms: int) -> None:
        """What was staged is visible."""
        for topic, read in self._inputs.items():
            self._records.add(read.ok, topic, "ok")
            self._records.add(read.filtered, topic, "filtered")
            self._records.add(read.dlq, topic, "dlq")
            self._records.add(read.parked, topic, "parked")
            self._late.add(read.late, topic)
            self._input_bytes.add(read.size_bytes, topic)
            for stamps_ms in read.timestamps_ms:
                self._latency.observe_ages(stamps_ms, now_ms, "append")
            for stamps_ms in read.event_times_ms:
                self._latency.observe_ages(stamps_ms, now_ms, "event")
            if read.oldest is not None:
                self._name_slow(*read.oldest, now_ms)
        for topic, written in self._outputs.items():
            self._output_records.add(written.records, topic)
            self._output_bytes.add(written.size_bytes, topic)
        for (topic, stage), count in self._dead.items():
            self._dead_letters.add(count, topic, stage)
            self._dead_letters.exemplify(self._dead_in.get((topic, stage)), topic, stage)
        self.discard()

    def discard(self) -> None:
        """Nothing is staged any more."""
        self._inputs, self._outputs = {}, {}
        self._dead.clear()
        self._dead_in.clear()

    def _name_slow(self, stamp_ms: int, headers: Headers, now_ms: int) -> None:
        age_s = (now_ms - stamp_ms) / 1000
        if self._slow_s is not None and age_s > self._slow_s:
            self._latency.exemplify(exemplar(headers, age_s, now_ms), "append")
