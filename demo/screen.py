"""What a person sees: a live view on the way, lines on what happens, and the verdict at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import live
from demo.figures import Actor, Board, Gauge
from demo.report import Report
from demo.verdict import DataSet


class Screen:
    """Prints on standard output, with the seconds since it was made in front of each line."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = 120
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {escape(text)}", soft_wrap=True)

    def fail(self, text: str) -> None:
        """Print why there is no verdict."""
        self._console.print(text, style="red", markup=False, soft_wrap=True)

    @contextmanager
    def live(self, log_directory: Path, actors: list[tuple[Actor, Gauge]]) -> Generator[None]:
        """Show how the actors get on, for the block; see `live`."""
        stop = Event()
        with ThreadPoolExecutor(1) as background:
            if self._console.is_terminal:
                shown = background.submit(live.move, self._console, Board(log_directory, actors, window_s=2), stop)
            else:
                board = Board(log_directory, actors, window_s=live.LINES_EVERY_S)
                shown = background.submit(live.tell, self.say, board, stop)
            try:
                yield
            finally:
                stop.set()
            shown.result()  # a view that failed would otherwise have stood still, and nobody would know

    @contextmanager
    def reading(self, total: int) -> Generator[Callable[[int], None]]:
        """A bar over so many records, for the block; it is told of those that were read. Lines elsewhere."""
        if not self._console.is_terminal:
            yield _Lines(self, total)
            return
        columns = (TextColumn("records read"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda records: bar.advance(task, records)

    def verdict(self, report: Report) -> None:
        """Print the table, what else was looked at, and the verdict."""
        self._console.print()
        self._console.print(_table(report.data_sets))
        self._console.print()
        self._console.print(_findings(report))
        problems = [
            (name, problem)
            for verdicts in (report.data_sets, report.folds)
            for name, found in verdicts.items()
            for problem in found.problems
        ]
        problems += [("redrive", problem) for problem in report.redrive.problems]
        for name, problem in problems:
            self._console.print(f"{name}: {problem}", style="red", markup=False, soft_wrap=True)
        failures = "; ".join(report.failures())
        if failures:
            self._console.print(f"\n[bold red]FAIL[/]  {failures} ({report.wall_s:.0f} s)", soft_wrap=True)
        else:
            told = f"lost 0, duplicated 0, wrong 0: every row and every result exactly once, after {report.kills} kills"
            self._console.print(f"\n[bold green]PASS[/]  {told} ({report.wall_s:.0f} s)", soft_wrap=True)


class _Lines:
    """Where a bar cannot move: a line every five seconds."""

    def __init__(self, screen: Screen, total: int) -> None:
        self._screen, self._total, self._read = screen, total, 0
        self._next = time.monotonic() + live.LINES_EVERY_S

    def __call__(self, records: int) -> None:
        self._read += records
        if time.monotonic() >= self._next:
            self._next += live.LINES_EVERY_S
            self._screen.say(f"{self._read:,} of {self._total:,} records read")


def _findings(report: Report) -> Table:
    """What the table does not show."""
    found = Table.grid(padding=(0, 2, 0, 0))
    keys = sum(each.keys for each in report.data_sets.values())
    commits = sum(each.commits for each in report.folds.values())
    transactions = sum(each.transactions for each in report.folds.values())
    producers, workers = len(report.producer_kills), len(report.pipeline_kills)
    aborted = report.aborted + report.aborted_output
    found.add_row("order", f"{keys:,} times one key in one topic, compared with the order of its rows")
    found.add_row("state", f"{commits:,} commits of a partition, compared with one run over its input up to there")
    found.add_row(
        "atomic", f"{transactions:,} transactions, looked at for outputs, state and offsets that belong together"
    )
    redrive = report.redrive
    found.add_row(
        "redrive",
        f"{redrive.redriven:,} of {redrive.letters:,} dead letters came back when their cause was mended; "
        f"lost {redrive.lost:,}, duplicated {redrive.duplicated:,}",
    )
    found.add_row("outage", f"{redrive.turned_away:,} questions while the directory was away; flights waited for it")
    found.add_row(
        "kills",
        f"{producers} of a producer, {workers} of workers, {report.kills_inside} inside a transaction; "
        f"{redrive.kills} of the redrive",
    )
    if report.broker_faults:
        killed = sum(fault.kind == "killed" for fault in report.broker_faults)
        paused = len(report.broker_faults) - killed
        found.add_row("brokers", f"{report.nodes}, of which {killed} times one was killed, and {paused} times paused")
    found.add_row("aborted", f"{aborted:,} records are in the log, and no committed reader sees them")
    if not report.pipeline_kills:
        return found
    recovery = f"{report.recovery_s_p50:.1f} s (median), {report.recovery_s_max:.1f} s (longest)"
    found.add_row("recovery", f"{recovery} from a worker's SIGKILL to the next visible commit in all it had")
    return found


def _table(data_sets: Mapping[str, DataSet]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("topic")
    for heading in ("expected", "records", "dead letters", "duplicates", "missing", "wrong"):
        table.add_column(heading, justify="right")
    for name, found in data_sets.items():
        figures = (found.rows, found.records, found.dead_letters, found.duplicates, found.missing, found.wrong)
        table.add_row(name, *(f"{figure:,}" for figure in figures), style="" if found.ok else "red")
    return table
