"""The dead letter of a source row."""

from __future__ import annotations

from penstock.deadletter.envelope import Author, Failure, fit, headers_of
from penstock.publishing.batch import DeadRow
from penstock.publishing.raw import raw_bytes
from penstock.record import Headers


def letter_of(
    dead: DeadRow, *, producer: str, failed_ms: int, version: str, max_bytes: int
) -> tuple[bytes | None, Headers]:
    """The row as JSON, or none where that is too long, and the headers that say what was wrong with it and where."""
    failure = Failure(
        stage=dead.stage,
        error=dead.error,
        author=Author(producer, version),
        source=producer,
        position=repr(dead.cursor),
        failed_ms=failed_ms,
    )
    value, extra = fit(raw_bytes(dead.raw), max_bytes)
    return value, headers_of(failure) + extra
