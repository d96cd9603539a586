"""What a person sees: a bar on a terminal, plain lines elsewhere, and the table at the end."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.publish import Kill, Reached
from demo.verdict import DataSet

_LINE_EVERY_S = 5.0


class Screen:
    """Prints on standard output, with the seconds since it was made in front of each line."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = 120
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {text}", soft_wrap=True)

    def fail(self, text: str) -> None:
        """Print why there is no verdict."""
        self._console.print(text, style="red", markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, text: str, total: int) -> Generator[Reached]:
        """A bar for the block; elsewhere than on a terminal a line every five seconds."""
        if not self._console.is_terminal:
            yield _Lines(self, text, total)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(text, total=total)

            def reached(offsets: int) -> None:
                bar.update(task, completed=min(offsets, total))

            yield reached

    def verdict(self, data_sets: Mapping[str, DataSet], kills: list[Kill], aborted: int, wall_s: float) -> None:
        """Print the kills, the table and the verdict."""
        self._console.print()
        for number, kill in enumerate(kills, 1):
            self._console.print(
                f"kill {number}: {kill.after_s:.1f} s after the first start, {kill.committed:,} records committed, "
                f"{kill.uncommitted:,} more in the transaction that died"
            )
        self._console.print(
            f"{aborted:,} records of aborted transactions are in the log; no committed reader sees them\n"
        )
        self._console.print(_table(data_sets))
        for name, data_set in data_sets.items():
            for problem in data_set.problems:
                self._console.print(f"{name}: {problem}", style="red", markup=False, soft_wrap=True)
        if all(data_set.ok for data_set in data_sets.values()):
            told = "every row is in its topic exactly once, with the content the file gives it"
            self._console.print(f"\n[bold green]PASS[/]  {told} ({wall_s:.0f} s)")
        else:
            self._console.print(f"\n[bold red]FAIL[/]  the topics are not what the files say ({wall_s:.0f} s)")


class _Lines:
    """Where a bar cannot move: a line every five seconds."""

    def __init__(self, screen: Screen, text: str, total: int) -> None:
        self._screen, self._text, self._total = screen, text, total
        self._next = time.monotonic() + _LINE_EVERY_S

    def __call__(self, offsets: int) -> None:
        if time.monotonic() >= self._next:
            self._next += _LINE_EVERY_S
            self._screen.say(f"{self._text}: {min(offsets, self._total):,} of {self._total:,}")


def _table(data_sets: Mapping[str, DataSet]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("data set")
    for heading in ("rows in file", "records", "dead letters", "duplicates", "missing", "wrong"):
        table.add_column(heading, justify="right")
    for name, found in data_sets.items():
        figures = (found.rows, found.records, found.dead_letters, found.duplicates, found.missing, found.wrong)
        table.add_row(name, *(f"{figure:,}" for figure in figures), style="" if found.ok else "red")
    return table
