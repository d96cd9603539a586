"""What a person sees: a bar on a terminal, plain lines elsewhere, and the table at the end."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo.publish import Reached
from demo.report import Report
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
    def progress(self, totals: Mapping[str, int]) -> Generator[dict[str, Reached]]:
        """A bar for each text, for the block; elsewhere than on a terminal a line every five seconds."""
        if not self._console.is_terminal:
            yield {text: _Lines(self, text, total) for text, total in totals.items()}
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}"),
            _Speed(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            yield {text: _Bar(bar, text, total) for text, total in totals.items()}

    def verdict(self, report: Report) -> None:
        """Print the kills, the table and the verdict."""
        self._console.print()
        for number, kill in enumerate(report.producer_kills, 1):
            self._console.print(
                f"producer, kill {number}: {kill.after_s:.1f} s after the first start, {kill.committed:,} records "
                f"committed, {kill.uncommitted:,} more in the transaction that died"
            )
        for pipeline in dict.fromkeys(kill.pipeline for kill in report.pipeline_kills):
            kills = [kill for kill in report.pipeline_kills if kill.pipeline == pipeline]
            after = ", ".join(f"{kill.after_s:.1f}" for kill in kills)
            self._console.print(f"{pipeline}, {len(kills)} kills: {after} s after the first start", soft_wrap=True)
        self._console.print(
            f"{report.kills_inside} workers died inside a transaction; {report.aborted + report.aborted_output:,} "
            "records of aborted transactions are in the log, and no committed reader sees them",
            soft_wrap=True,
        )
        self._console.print(
            f"from a worker's kill to the next visible commit: {report.recovery_s_p50:.1f} s (median), "
            f"{report.recovery_s_max:.1f} s (longest)\n"
        )
        self._console.print(_table(report.data_sets))
        for name, data_set in report.data_sets.items():
            for problem in data_set.problems:
                self._console.print(f"{name}: {problem}", style="red", markup=False, soft_wrap=True)
        failures = "; ".join(report.failures())
        if failures:
            self._console.print(f"\n[bold red]FAIL[/]  {failures} ({report.wall_s:.0f} s)", soft_wrap=True)
        else:
            told = f"lost 0, duplicated 0, wrong 0: every row and every result exactly once, after {report.kills} kills"
            self._console.print(f"\n[bold green]PASS[/]  {told} ({report.wall_s:.0f} s)", soft_wrap=True)


class _Speed(ProgressColumn):
    """How fast it goes, and how much is left."""

    def render(self, task: Task) -> Text:
        left = "" if task.total is None else f"lag {task.total - task.completed:,.0f}"
        return Text(left if task.speed is None else f"{task.speed:,.0f}/s  {left}")


class _Bar:
    """One bar among others."""

    def __init__(self, bars: Progress, text: str, total: int) -> None:
        self._bars, self._total = bars, total
        self._task = bars.add_task(text, total=total)

    def __call__(self, offsets: int) -> None:
        self._bars.update(self._task, completed=min(offsets, self._total))


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
    table.add_column("topic")
    for heading in ("expected", "records", "dead letters", "duplicates", "missing", "wrong"):
        table.add_column(heading, justify="right")
    for name, found in data_sets.items():
        figures = (found.rows, found.records, found.dead_letters, found.duplicates, found.missing, found.wrong)
        table.add_row(name, *(f"{figure:,}" for figure in figures), style="" if found.ok else "red")
    return table
