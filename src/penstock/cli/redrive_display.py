"""What a person sees of a redrive at work: a bar on a terminal, elsewhere a line every five seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from penstock.cli.output import console, counted
from penstock.protocols import TransactionHooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.deadletter.dead_letter import DeadLetter
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

    def followed(self, starts: Mapping[int, int] | None = None) -> Iterator[list[DeadLetter]]:
        """The letters, as `DeadLetters.read` gives them; how far that is is shown, also where none of them is meant."""
        for batch in self._letters.read(starts):
            yield batch
            self._show()

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Count."""
        del dead_letters
        self._count += records
        self._show()

    def _show(self) -> None:
        told, done, total = counted(self._count, "letter"), self._letters.done, self._letters.total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total or None, told=told)
        elif time.monotonic() - self._shown_at_s >= LINE_EVERY_S:
            self._shown_at_s = time.monotonic()
            self._console.print(f"{self._title}: {told}; {done:,} of {total:,} offsets read", soft_wrap=True)
