"""From rows to what is staged: convert, encode, and set aside what does neither. Pure, but for the registry.

A batch is tried as a whole; if anything in it fails it is done again one row at a time, so that the one at fault is
found and its neighbours are not. User code may therefore run twice for a row; its effects are published once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

KeyAndValue = tuple[bytes | None, bytes | None]

RECORD_OVERHEAD_BYTES = 512
"""Room for what Kafka adds to a record and its batch."""

_HEADER_OVERHEAD_BYTES = 10  # two lengths, each a varint of at most five bytes

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

    def stage(self, rows: Sequence[Row], refused: Mapping[KeyAndValue, str]) -> StagedBatch:
        """Convert and encode rows.

        Args:
            rows: in source order.
            refused: {key and value bytes: reason} of records that the broker has refused before; they become dead
                letters.

        Raises:
            RegistryUnavailable: a schema could not be looked up; call again.
            OperatorMustDecide: user code failed in a way that is no row's fault.
        """
        try:
            batch = self._encoded([self._converted(raw) for _, raw in rows])
        except Exception as exc:
            if isinstance(exc, PenstockError) and not isinstance(exc, BadRecord):
                raise
            return self._one_by_one(rows, refused)  # which tells the row at fault, or the mistake and its place
        if self._is_small(batch) and not (refused and any(map(refused.__contains__, _pairs(batch)))):
            return batch
        return self._one_by_one(rows, refused)

    def _converted(self, raw: Any) -> Record[K, V]:
        record: Record[K, V] = raw if self._spec.convert is None else self._spec.convert(raw)
        return record

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

    def _one_by_one(self, rows: Sequence[Row], refused: Mapping[KeyAndValue, str]) -> StagedBatch:
        out = StagedBatch()
        for cursor, raw in rows:
            stage: Stage = "convert"
            try:
                record = self._converted(raw)
                self._check_type(record, cursor)
                stage = "encode"
                one = self._encoded([record])
                self._check_size(one)
                stage = "sink"
                _check_not_refused(one, refused)
            except ROW_AT_FAULT as exc:
                out.dead.append(DeadRow(cursor, raw, stage, exc))
            except PenstockError:
                raise
            except Exception as exc:
                raise self._mistake(exc, cursor) from exc
            else:
                _append(out, one)
        return out

    def _check_type(self, record: object, cursor: Any) -> None:
        if not isinstance(record, Record):
            raise OperatorMustDecide(
                f"producer '{self._spec.name}': a {type(record).__name__} instead of a penstock.Record for cursor "
                f"{cursor!r}. Nothing is lost: mend the code, or raise penstock.BadRow to set a row aside"
            )

    def _is_small(self, batch: StagedBatch) -> bool:
        """Whether even the largest of each column would make a record that fits."""
        headers = max(map(_size_of, batch.headers), default=0) if batch.headers is not None else 0
        return _largest(batch.keys) + _largest(batch.values) + headers <= self._max_bytes

    def _check_size(self, one: StagedBatch) -> None:
        if not self._is_small(one):
            raise UnencodableValue(
                f"the record is larger than the {self._max_bytes} bytes that '{self._spec.topic.name}' takes",
                reason="oversize",
            )

    def _mistake(self, exc: Exception, cursor: Any) -> OperatorMustDecide:
        return OperatorMustDecide(
            f"producer '{self._spec.name}': {type(exc).__name__} at {place_of(exc)} for cursor {cursor!r}. Nothing is "
            "lost: mend the code, or raise penstock.BadRow there if it is the row's fault, and start again"
        )


def _check_not_refused(one: StagedBatch, refused: Mapping[KeyAndValue, str]) -> None:
    for pair in _pairs(one):
        if pair in refused:
            raise UnencodableValue(f"refused by the broker: {refused[pair]}", reason="refused")


def _pairs(batch: StagedBatch) -> Iterator[KeyAndValue]:
    return zip(batch.keys, batch.values, strict=True)


def _largest(column: list[bytes | None]) -> int:
    return max(map(len, filter(None, column)), default=0)


def _size_of(headers: Headers) -> int:
    return sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD_BYTES for name, value in headers)


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
