"""What a person sees of a producer at work: a bar on a terminal, elsewhere a line every five seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from penstock.cli.output import console, counted
from penstock.protocols import TransactionHooks

LINE_EVERY_S = 5.0


class PublishingDisplay(TransactionHooks):
    """Shows one run on standard error.

    Args:
        name: the producer's.
        topic: where it publishes.
        total: rows in its source; None when nobody knows.
    """

    def __init__(self, name: str, topic: str, total: int | None) -> None:
        self._title = f"{name} → {topic}"
        self._total = total
        self._console = console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._started = self._shown_at = time.monotonic()
        self.records = self.dead_letters = self.transactions = self.aborted = self.rotations = 0
        self._behind = 0

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f} rows"),
                TextColumn("{task.fields[told]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(self._title, total=self._total, told="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Show the last figures."""
        if self._bar is not None:
            self._update()
            self._bar.stop()
        self._console.print(f"{self._title}: {self._told()}", soft_wrap=True)

    def on_start(self, rows: int) -> None:
        """So many rows were dealt with by earlier runs."""
        self._behind = rows - self.records - self.dead_letters
        if rows and not self.transactions and not self.aborted:
            self._console.print(f"{self._title}: continuing behind row {rows:,}", soft_wrap=True)

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Count, and show when it is time."""
        self.records += records
        self.dead_letters += dead_letters
        self.transactions += 1
        self._update()

    def on_abort(self, error: Exception) -> None:
        """Count it; the log says why work is done again."""
        del error
        self.aborted += 1

    def on_rotation(self, reason: str) -> None:
        """Count it; it costs nothing that a person would wait for."""
        del reason  # the log has it
        self.rotations += 1

    def summary(self) -> dict[str, int | float]:
        """The figures of this run."""
        return {
            "records": self.records,
            "dead_letters": self.dead_letters,
            "transactions": self.transactions,
            "aborted": self.aborted,
            "rotations": self.rotations,
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def _update(self) -> None:
        rows = self._behind + self.records + self.dead_letters
        if self._bar is not None:
            self._bar.update(self._task, completed=rows, told=self._told())
        elif time.monotonic() - self._shown_at >= LINE_EVERY_S:
            self._shown_at = time.monotonic()
            of = f" of {self._total:,}" if self._total is not None else ""
            self._console.print(f"{self._title}: {rows:,}{of} rows, {self._told()}", soft_wrap=True)

    def _told(self) -> str:
        if not self.transactions:
            return "nothing published"
        seconds = max(time.monotonic() - self._started, 1e-9)
        rows = self.records + self.dead_letters
        told = f"{counted(self.records, 'record')} in {counted(self.transactions, 'transaction')}"
        told += f", {counted(round(rows / seconds), 'row')}/s"
        return told if not self.dead_letters else f"{told}, {counted(self.dead_letters, 'dead letter')}"
