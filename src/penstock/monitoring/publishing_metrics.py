"""Counts what a producer does, by its hooks. All of it runs on the producer's thread but `families`, for any thread.

A commit whose outcome is not known is told as an abort, and as a commit after all once the log has confirmed it. So
what was staged is forgotten only when the next claim begins, for until then the log is read.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from penstock.clock import Clock
from penstock.errors import Fenced, OutcomeUnknown, Retriable
from penstock.monitoring import publishing_catalogue as catalogue
from penstock.monitoring.error_name import NOT_ANSWERED, answer_name, error_name
from penstock.monitoring.exposition import Family, one
from penstock.monitoring.instruments import Counter, Histogram
from penstock.monitoring.process import process_families
from penstock.protocols import TransactionHooks

_TIMED: Final = frozenset(catalogue.STAGES)


@dataclass(frozen=True, slots=True)
class Publishing:
    """Which producer counts.

    Attributes:
        producer: its name.
        topic: where it publishes.
        version: of penstock.
        librdkafka: its version.
        source_rows: of its source, in all; None = it does not say.
    """

    producer: str
    topic: str
    version: str
    librdkafka: str
    source_rows: int | None = None


class PublishingMetrics(TransactionHooks):
    """The metrics of one producer.

    Args:
        place: which.
        clock: time.
    """

    def __init__(self, place: Publishing, clock: Clock) -> None:
        self._place, self._clock = place, clock
        name = place.producer
        self._rows = Counter(catalogue.ROWS, name)
        self._rejects = Counter(catalogue.REJECTS, name)
        self._transactions = Counter(catalogue.TRANSACTIONS, name)
        self._rotations = Counter(catalogue.ROTATIONS, name)
        self._retries = Counter(catalogue.RETRIES, name)
        self._stages = Histogram(catalogue.STAGE_DURATION, name)
        for outcome in catalogue.OUTCOMES:
            self._rows.add(0, outcome)
        for outcome in ("committed", "aborted"):
            self._transactions.add(0, outcome)
        self._rotations.add(0)
        self._retries.add(0, NOT_ANSWERED)
        self._staged: Tally[tuple[str, str]] = Tally()
        self._cursor_rows: int | None = None
        self._last_commit_ms = 0
        self._step, self._step_began_s = "", 0.0
        self._has_rows = False
        self._is_in_doubt = False

    def on_step(self, step: str) -> None:
        """Time the steps of a transaction with rows."""
        now_s = self._clock.monotonic_s()
        if self._step in _TIMED and self._has_rows:
            self._stages.observe(now_s - self._step_began_s, self._step)
        self._step, self._step_began_s = step, now_s
        if step == "convert":
            self._has_rows = True
        elif step == "claim":
            self._settle_doubt()
            self._staged.clear()
            self._has_rows = False

    def on_start(self, rows: int) -> None:
        """The cursor was read."""
        self._cursor_rows = rows

    def on_reject(self, stage: str, error: BaseException) -> None:
        """A row is staged as a dead letter."""
        self._staged[stage, error_name(error)] += 1

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Rows are visible."""
        self._is_in_doubt = self._has_rows = False
        staged, self._staged = self._staged, Tally()
        self._transactions.add(1, "committed")
        self._rows.add(records, "ok")
        self._rows.add(dead_letters, "dlq")
        for (stage, error), count in staged.items():
            self._rejects.add(count, stage, error)
        self._cursor_rows = (self._cursor_rows or 0) + records + dead_letters
        self._last_commit_ms = self._clock.now_ms()

    def on_abort(self, error: Exception) -> None:
        """The transaction is gone, or the log will say so."""
        if not self._has_rows:
            return
        self._is_in_doubt = True
        if not isinstance(error, OutcomeUnknown | Fenced):
            self._settle_doubt()

    def _settle_doubt(self) -> None:
        if self._is_in_doubt:
            self._transactions.add(1, "aborted")
        self._is_in_doubt = False

    def on_rotation(self, reason: str) -> None:
        """The handle is replaced."""
        del reason
        self._rotations.add(1)

    def on_retry(self, call: str, error: Retriable) -> None:
        """Once more."""
        del call
        self._retries.add(1, answer_name(error))

    def families(self) -> Iterator[Family]:
        """Everything, as of now; any thread may ask."""
        place, name = self._place, self._place.producer
        yield one(catalogue.INFO, 1, name, place.topic, place.version, place.librdkafka)
        for instrument in (
            self._rows,
            self._rejects,
            self._transactions,
            self._rotations,
            self._retries,
            self._stages,
        ):
            yield instrument.family()
        if self._cursor_rows is not None:
            yield one(catalogue.CURSOR_ROWS, self._cursor_rows, name)
        if place.source_rows is not None:
            yield one(catalogue.SOURCE_ROWS, place.source_rows, name)
        yield one(catalogue.LAST_COMMIT, self._last_commit_ms / 1000, name)
        yield from process_families()
