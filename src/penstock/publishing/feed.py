"""The source's rows, batch by batch, within the commit interval, the rate and the limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from penstock.clock import Clock
from penstock.errors import OperatorMustDecide, PenstockError
from penstock.publishing.batch import Row
from penstock.publishing.user_code import mistake
from penstock.transactions.rate import fitting


@dataclass(frozen=True, slots=True)
class PublishingLimits:
    """How large transactions get, and how long trouble is borne.

    Attributes:
        commit_interval_s: a transaction is committed when its first row is this old.
        max_transaction_records: a safety bound, not a rhythm.
        max_batch_records: rows converted and encoded together.
        patience_s: how long trouble may last without a row committed in between before the run gives up.
    """

    commit_interval_s: float = 0.25
    max_transaction_records: int = 50_000
    max_batch_records: int = 1_000
    patience_s: float = 300.0


class Feed:
    """Takes rows from one opening of the source.

    Args:
        rows: the source's iterator; None in it means "nothing at the moment".
        limits: how large a batch gets, and how long one is gathered.
        clock: time.
        stopping: whether to end at the next row.
        rate: rows per second at most.
        rows_left: rows that may still be taken; None = all.
        producer: its name, for messages.
        cursor: of the last row that is dealt with; the rows lie behind it.
    """

    def __init__(
        self,
        rows: Iterator[tuple[Any, Any] | None],
        limits: PublishingLimits,
        clock: Clock,
        *,
        stopping: Callable[[], bool],
        rate: float | None,
        rows_left: int | None,
        producer: str,
        cursor: Any,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._stopping = stopping
        self._interval_s = limits.commit_interval_s
        self._room = fitting(limits.max_batch_records, rate, self._interval_s)
        self._left = rows_left
        self._producer = producer
        self._cursor = cursor
        self._has_begun = False
        self.ended = False

    def batch(self) -> list[Row]:
        """The next rows. Shorter than usual when time is up or the source has nothing now; `ended` tells the end.

        Raises:
            OperatorMustDecide: the source failed, or yields again what is dealt with.
        """
        batch: list[Row] = []
        try:
            self._gather(batch)
        except PenstockError:
            raise
        except Exception as exc:
            behind = batch[-1][0] if batch else self._cursor
            raise mistake(exc, self._producer, f"its source, behind cursor {behind!r}") from exc
        if batch:
            self._cursor = batch[-1][0]
        if self._left is not None:
            self._left -= len(batch)
            self.ended = self.ended or self._left <= 0
        return batch

    def _gather(self, batch: list[Row]) -> None:
        room = self._room if self._left is None else min(self._room, self._left)
        deadline_s: float | None = None
        while len(batch) < room and not self._stopping():
            try:
                row = next(self._rows)
            except StopIteration:
                self.ended = True
                break
            if row is None:
                break
            if not self._has_begun:
                self._check_first(row)
            batch.append(row)
            now_s = self._clock.monotonic_s()
            if deadline_s is None:
                deadline_s = now_s + self._interval_s
            elif now_s > deadline_s:
                break

    def _check_first(self, row: Row) -> None:
        """The usual mistake of a source: `>=` where it takes `>`, and the row at the cursor comes a second time."""
        if row[0] == self._cursor:
            raise OperatorMustDecide(
                f"producer '{self._producer}': asked for what lies behind cursor {self._cursor!r}, its source begins "
                "with that cursor again, so that row would be published twice. A source yields rows strictly behind "
                "the cursor (None = before the first). Nothing is lost: mend it and start again"
            )
        self._has_begun = True

    def is_fast(self, batch: list[Row]) -> bool:
        """Whether the source filled the batch and has more: only then may a transaction stay open for the next one."""
        return len(batch) == self._room and not self.ended

    def close(self) -> None:
        """Close the source, if it is a generator."""
        close = getattr(self._rows, "close", None)
        if callable(close):
            close()
