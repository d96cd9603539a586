"""`to`: writes records to a topic."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import UnencodableValue
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.record import Headers
from penstock.topology.node import AnyTopic, slug

RESERVED_HEADERS = "penstock."
_HEADER_OVERHEAD_BYTES = 10  # two lengths, each a varint of at most five bytes


@dataclass(frozen=True, slots=True, eq=False)
class To(Operator):
    """Encodes keys and values for the topic; timestamps are Kafka's of the input, headers as they stand."""

    kind = "to"
    is_end = True

    topic: AnyTopic

    @property
    def writes(self) -> AnyTopic:
        """The topic."""
        return self.topic

    @property
    def suggested_name(self) -> str:
        """After the topic."""
        return f"to-{slug(self.topic.name)}"[:63].strip("-")

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run; gives a batch of bytes."""
        del place
        opened = task.topics[self.topic.name]
        bound, most = opened.bound, opened.max_record_bytes

        def run(batch: AnyBatch) -> AnyBatch:
            encoded = batch.with_keys(bound.encode_keys(batch.keys)).with_values(bound.encode_values(batch.values))
            if batch.headers is not None:
                _check_headers(batch.headers)
            _check_size(encoded, most, bound.topic.name)
            return encoded

        return run


def _check_size(batch: AnyBatch, most: int, topic: str) -> None:
    """The broker would refuse what is too large, and the whole transaction with it."""
    headers = [0] if batch.headers is None else list(map(_header_bytes, batch.headers))
    if _largest(batch.keys) + _largest(batch.values) + max(headers, default=0) <= most:
        return
    sizes = [len(key or b"") + len(value or b"") for key, value in zip(batch.keys, batch.values, strict=True)]
    if batch.headers is not None:
        sizes = [size + extra for size, extra in zip(sizes, headers, strict=True)]
    for index, size in enumerate(sizes):
        if size > most:
            raise UnencodableValue(
                f"a record of {size:,} bytes, topic '{topic}' takes {most:,}", index=index, reason="oversize"
            )


def _check_headers(headers: list[Headers]) -> None:
    for index, row in enumerate(headers):
        for name, _ in row:
            if name.startswith(RESERVED_HEADERS):
                raise UnencodableValue(
                    f"headers that begin with '{RESERVED_HEADERS}' are penstock's own; name it otherwise",
                    field="headers",
                    index=index,
                    reason="header",
                )


def _largest(column: list[bytes | None]) -> int:
    return max(map(len, filter(None, column)), default=0)


def _header_bytes(headers: Headers) -> int:
    return sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD_BYTES for name, value in headers)
