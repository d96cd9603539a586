"""From rows to what is staged: convert, encode, and set aside what does neither. Pure, but for the registry.

A batch is tried as a whole; if anything in it fails it is done again one row at a time, so that the one at fault is
found and its neighbours are not. User code may therefore run twice for a row; its effects are published once.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from penstock.deadletter.envelope import Stage, place_of
from penstock.errors import BadRecord, OperatorMustDecide, PenstockError, UnencodableValue
from penstock.publishing.spec import ProducerSpec
from penstock.record import Headers, Record
from penstock.schemas.topic import BoundTopic

K = TypeVar("K")
V = TypeVar("V")

Row = tuple[Any, Any]
"""(cursor, what the source gave)."""

RECORD_OVERHEAD_BYTES = 512
"""Room for what Kafka adds to a record and its batch."""

ROW_AT_FAULT = (BadRecord, ValueError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row that becomes no record: where it stands, what it was, what was wrong."""

    cursor: Any
    raw: Any
    stage: Stage
    error: BaseException


@dataclass(slots=True)
class StagedBatch:
    """Parallel lists, ready for the client; `headers` and `partitions` are None where no record asks for them."""

    keys: list[bytes | None] = field(default_factory=list[bytes | None])
    values: list[bytes | None] = field(default_factory=list[bytes | None])
    headers: list[Headers] | None = None
    partitions: list[int] | None = None
    dead: list[DeadRow] = field(default_factory=list[DeadRow])


class Stager(Generic[K, V]):
    """Turns rows into staged batches.

    Args:
        spec: the producer.
        topic: its topic, bound to a registry.
        partitions: of the topic.
        max_record_bytes: what the topic and the client accept, overhead included.
    """

    def __init__(
        self, spec: ProducerSpec[K, V], topic: BoundTopic[K, V], partitions: int, max_record_bytes: int
    ) -> None:
        self._spec = spec
        self._topic = topic
        self._partitions = partitions
        self._max_bytes = max_record_bytes - RECORD_OVERHEAD_BYTES

    def stage(self, rows: Sequence[Row], refused: Mapping[bytes, str]) -> StagedBatch:
        """Convert and encode rows.

        Args:
            rows: in source order.
            refused: {value bytes: reason} of records that the broker has refused before; they become dead letters.

        Raises:
            RegistryUnavailable: a schema could not be looked up; call again.
            OperatorMustDecide: `convert` failed in a way that is no row's fault.
        """
        try:
            batch = self._whole(rows)
        except ROW_AT_FAULT:
            batch = self._one_by_one(rows)
        if refused or _largest(batch.keys) + _largest(batch.values) > self._max_bytes:
            batch = self._one_by_one(rows, refused)
        return batch

    def _whole(self, rows: Sequence[Row]) -> StagedBatch:
        convert = self._spec.convert
        try:
            records: list[Record[K, V]] = (
                [row for _, row in rows] if convert is None else [convert(row) for _, row in rows]
            )
        except (PenstockError, *ROW_AT_FAULT):
            raise
        except Exception as exc:
            raise self._mistake(exc, rows) from exc
        return self._encoded(records)

    def _encoded(self, records: list[Record[K, V]]) -> StagedBatch:
        if any(r.timestamp_ms is not None for r in records):
            raise OperatorMustDecide(
                f"producer '{self._spec.name}': a record carries timestamp_ms. Records are stamped with the time of "
                "publishing, since Kafka deletes by that stamp; keep event time as a field, and leave timestamp_ms out"
            )
        batch = StagedBatch(
            keys=self._topic.encode_keys([r.key for r in records]),
            values=self._topic.encode_values([r.value for r in records]),
        )
        if any(r.headers for r in records):
            batch.headers = [r.headers for r in records]
        choose = self._spec.partition
        if choose is not None:
            batch.partitions = [self._checked(choose(r, self._partitions)) for r in records]
        return batch

    def _checked(self, partition: int) -> int:
        if not 0 <= partition < self._partitions:
            raise OperatorMustDecide(
                f"producer '{self._spec.name}': its partition function gave {partition}, "
                f"but '{self._spec.topic.name}' has partitions 0 to {self._partitions - 1}; mend the function"
            )
        return partition

    def _one_by_one(self, rows: Sequence[Row], refused: Mapping[bytes, str] | None = None) -> StagedBatch:
        out = StagedBatch()
        for cursor, raw in rows:
            stage: Stage = "convert"
            try:
                record: Record[K, V] = raw if self._spec.convert is None else self._spec.convert(raw)
                stage = "encode"
                one = self._encoded([record])
                self._check_size(one.keys[0], one.values[0])
                stage = "sink"
                _check_not_refused(one.values[0], refused)
            except ROW_AT_FAULT as exc:
                out.dead.append(DeadRow(cursor, raw, stage, exc))
            except PenstockError:
                raise
            except Exception as exc:
                raise self._mistake(exc, [(cursor, raw)]) from exc
            else:
                _append(out, one)
        return out

    def _check_size(self, key: bytes | None, value: bytes | None) -> None:
        if len(key or b"") + len(value or b"") > self._max_bytes:
            raise UnencodableValue(
                f"the record is larger than the {self._max_bytes} bytes that '{self._spec.topic.name}' takes",
                reason="oversize",
            )

    def _mistake(self, exc: Exception, rows: Sequence[Row]) -> OperatorMustDecide:
        first, last = rows[0][0], rows[-1][0]
        where = f"cursor {first!r}" if first == last else f"a row between cursors {first!r} and {last!r}"
        frames = traceback.extract_tb(exc.__traceback__)
        place = place_of(exc) if frames else "an unknown place"
        return OperatorMustDecide(
            f"producer '{self._spec.name}': {type(exc).__name__} at {place} for {where}. Nothing is lost: mend the "
            "code, or raise penstock.BadRow there if it is the row's fault, and start again"
        )


def _check_not_refused(value: bytes | None, refused: Mapping[bytes, str] | None) -> None:
    if refused and value is not None and value in refused:
        raise UnencodableValue(f"refused by the broker: {refused[value]}", reason="refused")


def _largest(column: list[bytes | None]) -> int:
    return max(map(len, filter(None, column)), default=0)


def _append(out: StagedBatch, one: StagedBatch) -> None:
    """Add a batch of one, keeping the optional columns aligned."""
    if one.headers is not None and out.headers is None:
        out.headers = [()] * len(out.keys)
    out.keys += one.keys
    out.values += one.values
    if out.headers is not None:
        out.headers += one.headers or [()]
    if one.partitions is not None:
        out.partitions = (out.partitions or []) + one.partitions
