"""What a person sees while changelogs are read: a bar on a terminal, elsewhere a line every five seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from penstock.cli.output import console

LINE_EVERY_S = 5.0


class ReadingDisplay:
    """Shows the reading of one partition after the other on standard error; nothing for what is read at once."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._title = ""
        self._shown_at = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self._bar = Progress(
                *columns,
                console=self._console,
                transient=True,
                # What is printed meanwhile stands above the bar; but what goes to a file or a pipe is to arrive there.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """End it."""
        if self._bar is not None:
            self._bar.stop()

    def begin(self, title: str) -> None:
        """Another partition."""
        self._title = title
        if self._bar is not None:
            self._bar.reset(self._task, description=title, total=None)

    def advance(self, done: int, total: int) -> None:
        """So many offsets of it are read."""
        if self._bar is not None:
            self._bar.update(self._task, completed=min(done, total), total=total)
        elif time.monotonic() - self._shown_at >= LINE_EVERY_S:
            self._shown_at = time.monotonic()
            self._console.print(f"{self._title}: {done:,} of {total:,} offsets", soft_wrap=True)
