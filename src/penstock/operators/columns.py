"""Picking and merging rows of batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, compress
from typing import Any

from penstock.batch import Batch
from penstock.operators.operator import AnyBatch
from penstock.record import Headers


def picked(batch: AnyBatch, flags: list[Any]) -> AnyBatch:
    """The rows whose flag is true; the batch itself where all are."""
    if all(flags):
        return batch
    return Batch(
        list(compress(batch.rows, flags)),
        list(compress(batch.keys, flags)),
        list(compress(batch.values, flags)),
        list(compress(batch.timestamps_ms, flags)),
        list(compress(batch.event_times_ms, flags)),
        None if batch.headers is None else list(compress(batch.headers, flags)),
    )


def merged(batches: Sequence[AnyBatch]) -> AnyBatch:
    """All rows, in the order of the source; those of one row in the order of the batches."""
    there = [batch for batch in batches if batch.rows] or list(batches[:1])
    if len(there) == 1:
        return there[0]
    whole: AnyBatch = Batch(
        list(chain.from_iterable(batch.rows for batch in there)),
        list(chain.from_iterable(batch.keys for batch in there)),
        list(chain.from_iterable(batch.values for batch in there)),
        list(chain.from_iterable(batch.timestamps_ms for batch in there)),
        list(chain.from_iterable(batch.event_times_ms for batch in there)),
        _headers(there),
    )
    # A stable sort: runs are sorted already, so this is a merge.
    return whole.take(sorted(range(len(whole.rows)), key=whole.rows.__getitem__))


def rows_of(batch: AnyBatch, start: int, stop: int) -> AnyBatch:
    """The rows at places `start` to `stop`, the latter excluded."""
    return Batch(
        batch.rows[start:stop],
        batch.keys[start:stop],
        batch.values[start:stop],
        batch.timestamps_ms[start:stop],
        batch.event_times_ms[start:stop],
        None if batch.headers is None else batch.headers[start:stop],
    )


def _headers(batches: Sequence[AnyBatch]) -> list[Headers] | None:
    if all(batch.headers is None for batch in batches):
        return None
    return list(chain.from_iterable(batch.headers or [()] * len(batch.rows) for batch in batches))
