"""What a producer is: a replayable source, a topic, and how a row becomes a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from penstock.errors import ConfigurationError
from penstock.record import Record
from penstock.schemas.topic import Topic

K = TypeVar("K")
V = TypeVar("V")
C = TypeVar("C")
R = TypeVar("R")

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""Pipelines, producers and their like: joined by dots elsewhere, so a dot is no part of a name."""


@dataclass(frozen=True, slots=True)
class ProducerSpec(Generic[K, V]):
    """A producer, as `@producer` makes it. Called, it is its source again: `flights(None)` iterates the rows.

    Attributes:
        name: the tail of its `transactional.id` and of its dead-letter topic, and the key of its cursor.
        topic: where its records go.
        source: called with the last committed cursor, or None; yields (cursor, row) for what lies behind it.
        convert: makes a record of a row; None where the source yields records.
        total: how many rows there are in all, for progress; None when nobody knows.
        fingerprint: names the source's content; when it changes, the cursor means nothing and the producer stops.
        partition: chooses the partition from the record and the number of partitions; None = by key, as Java does.
        doc: the first line of the source's docstring.
    """

    name: str
    topic: Topic[K, V]
    source: Callable[[Any], Iterator[tuple[Any, Any] | None]]
    convert: Callable[[Any], Record[K, V]] | None = None
    total: Callable[[], int] | None = None
    fingerprint: Callable[[], str] | None = None
    partition: Callable[[Record[K, V], int], int] | None = None
    doc: str = ""

    def __call__(self, cursor: Any) -> Iterator[tuple[Any, Any] | None]:
        """The source's rows behind `cursor`."""
        return self.source(cursor)


class _Decorator(Generic[K, V, R]):
    """Holds what `@producer(...)` was given until it meets the source."""

    def __init__(self, make: Callable[[Callable[[Any], Iterator[Any]]], ProducerSpec[K, V]]) -> None:
        self._make = make

    def __call__(self, source: Callable[[C | None], Iterator[tuple[C, R] | None]]) -> ProducerSpec[K, V]:
        return self._make(source)


@overload
def producer(
    name: str,
    *,
    topic: Topic[K, V],
    total: Callable[[], int] | None = None,
    fingerprint: Callable[[], str] | None = None,
    partition: Callable[[Record[K, V], int], int] | None = None,
) -> _Decorator[K, V, Record[K, V]]: ...


@overload
def producer(
    name: str,
    *,
    topic: Topic[K, V],
    convert: Callable[[R], Record[K, V]],
    total: Callable[[], int] | None = None,
    fingerprint: Callable[[], str] | None = None,
    partition: Callable[[Record[K, V], int], int] | None = None,
) -> _Decorator[K, V, R]: ...


def producer(
    name: str,
    *,
    topic: Topic[K, V],
    convert: Callable[[Any], Record[K, V]] | None = None,
    total: Callable[[], int] | None = None,
    fingerprint: Callable[[], str] | None = None,
    partition: Callable[[Record[K, V], int], int] | None = None,
) -> _Decorator[K, V, Any]:
    """Make a producer of a replayable source: no row lost, none twice, whatever dies when.

    The source is called with the last committed cursor (None at first) and yields `(cursor, row)` for every row
    strictly behind it, always in the same order. A cursor is whatever MessagePack can write: a line number, an id, a
    timestamp with a tie-breaker. A source that waits for new rows yields None while it waits, so that what is staged
    is committed.

    Rows for which `convert` raises `BadRow`, `ValueError` or `ArithmeticError`, and records that do not fit the
    topic's schema, go to `dlq.<name>` in the same transaction, with the row, the reason and the cursor. Any other
    exception is a mistake in the code: it stops the producer at that row, and nothing is lost. So does whatever the
    source, `total` or `fingerprint` raises.

    Args:
        name: `[a-z][a-z0-9-]{0,62}`, unique in the project.
        topic: where the records go.
        convert: makes a record of a row; left out, the source yields records itself.
        total: number of rows in the source, for progress and ETA.
        fingerprint: a text that changes when the source's content does.
        partition: (record, number of partitions) -> partition; left out, murmur2 of the key as in Java.

    Raises:
        ConfigurationError: the name is not valid.
    """
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"producer name {name!r}: use lower-case letters, digits and dashes, a letter first, 63 at most"
        )

    def make(source: Callable[[Any], Iterator[Any]]) -> ProducerSpec[K, V]:
        lines = (source.__doc__ or "").strip().splitlines()
        return ProducerSpec(
            name=name,
            topic=topic,
            source=source,
            convert=convert,
            total=total,
            fingerprint=fingerprint,
            partition=partition,
            doc=lines[0] if lines else "",
        )

    return _Decorator(make)
