"""A record: what user code is given and what it yields."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")

Headers = tuple[tuple[str, bytes | None], ...]
"""Kafka's headers: ordered, names may repeat."""


class Record(msgspec.Struct, Generic[K, V], frozen=True, kw_only=True):
    """One record, read or to be written. Frozen: change it by `with_value` and its siblings.

    Attributes:
        key: decides the partition; None spreads records evenly.
        value: None is a tombstone, where the topic allows them.
        headers: ordered pairs of name and bytes.
        timestamp_ms: Kafka's timestamp, milliseconds since 1970 UTC; None on output means now.
        topic: where it was read; None on a record that was not read.
        partition: likewise.
        offset: likewise.
    """

    key: K
    value: V
    headers: Headers = ()
    timestamp_ms: int | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None

    def with_key(self, key: W) -> Record[W, V]:
        """The same record under another key."""
        return Record(key=key, value=self.value, headers=self.headers, timestamp_ms=self.timestamp_ms)

    def with_value(self, value: W) -> Record[K, W]:
        """The same record with another value."""
        return Record(key=self.key, value=value, headers=self.headers, timestamp_ms=self.timestamp_ms)
