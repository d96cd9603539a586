"""What a person sees of a redrive at work: a bar on a terminal, elsewhere a line every five seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from penstock.cli.output import console, counted
from penstock.protocols import TransactionHooks

if TYPE_CHECKING:
    from penstock.redrive.letters import DeadLetters

LINE_EVERY_S = 5.0


class RedriveDisplay(TransactionHooks):
    """Shows one run on standard error.

    Args:
        title: what is done.
        letters: what is read for it; tells how far reading is.
    """

    def __init__(self, title: str, letters: DeadLetters) -> None:
        self._title = title
        self._letters = letters
        self._console = console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown_at_s = time.monotonic()
        self._count = 0

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[told]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(self._title, total=None, told="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """End it."""
        if self._bar is not None:
            self._bar.stop()

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Count, and show when it is time."""
        del dead_letters
        self._count += records
        told = counted(self._count, "letter")
        if self._bar is not None:
            self._bar.update(self._task, completed=self._letters.done, total=self._letters.total or None, told=told)
        elif time.monotonic() - self._shown_at_s >= LINE_EVERY_S:
            self._shown_at_s = time.monotonic()
            self._console.print(f"{self._title}: {told}", soft_wrap=True)
