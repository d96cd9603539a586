"""What a topic takes, so that a record which its broker would refuse is known before it is sent.

A refusal costs the whole transaction, and the broker does not say which record of a batch it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from penstock.batch import Batch
from penstock.errors import BadRecord, UnencodableValue
from penstock.record import Headers

CLOCK_MARGIN_MS: Final = 300_000
"""The broker compares with its own clock: nearer to the bound than this, it is left to judge."""

HEADER_OVERHEAD_BYTES: Final = 10
"""Two lengths, each a varint of at most five bytes."""


@dataclass(slots=True)
class TopicBounds:
    """Bounds of one topic. They may change while a worker runs: look at them anew for every batch.

    Attributes:
        max_record_bytes: key, value and headers together, Kafka's own overhead left out.
        max_ahead_ms: how far a record's timestamp may lie ahead of the broker's clock; None = any distance.
        max_behind_ms: likewise behind it.
    """

    max_record_bytes: int = 1_000_000
    max_ahead_ms: int | None = None
    max_behind_ms: int | None = None

    def check(self, batch: Batch[Any, Any], topic: str, now_ms: int) -> None:
        """Whether the topic takes these encoded records.

        Raises:
            UnencodableValue: one is too large.
            BadRecord: one has a timestamp that the topic refuses by far.
        """
        self._check_sizes(batch, topic)
        self._check_timestamps(batch.timestamps_ms, topic, now_ms)

    def _check_sizes(self, batch: Batch[Any, Any], topic: str) -> None:
        most = self.max_record_bytes
        headers = [0] if batch.headers is None else list(map(header_bytes, batch.headers))
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

    def _check_timestamps(self, timestamps_ms: list[int], topic: str, now_ms: int) -> None:
        ahead_ms, behind_ms = self.max_ahead_ms, self.max_behind_ms
        if ahead_ms is not None and max(timestamps_ms, default=now_ms) > now_ms + ahead_ms + CLOCK_MARGIN_MS:
            raise BadRecord(
                f"a timestamp more than {ahead_ms:,} ms ahead of now, which topic '{topic}' refuses "
                "(message.timestamp.after.max.ms)",
                reason="timestamp",
            )
        if behind_ms is not None and min(timestamps_ms, default=now_ms) < now_ms - behind_ms - CLOCK_MARGIN_MS:
            raise BadRecord(
                f"a timestamp more than {behind_ms:,} ms ago, which topic '{topic}' refuses "
                "(message.timestamp.before.max.ms)",
                reason="timestamp",
            )


def header_bytes(headers: Headers) -> int:
    """What a record's headers take."""
    return sum(len(name.encode()) + len(value or b"") + HEADER_OVERHEAD_BYTES for name, value in headers)


def _largest(column: list[bytes | None]) -> int:
    return max(map(len, filter(None, column)), default=0)
