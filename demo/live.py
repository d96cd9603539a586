"""The live view: a table that moves on a terminal, a line every five seconds for each of the actors elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table

from demo.figures import Board, Figures, Status

LINES_EVERY_S = 5.0
_MOVES_EVERY_S = 0.5
_WIDE = 100
_COLOURS = {
    Status.WAITING: "dim",
    Status.STARTING: "yellow",
    Status.WORKING: "green",
    Status.KILLED: "bold red",
    Status.COMING_BACK: "yellow",
    Status.DONE: "dim",
}


def move(console: Console, board: Board, stop: Event) -> None:
    """Show the table until `stop` is set."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not stop.is_set():
            shown = table(board.look(), is_wide=console.width >= _WIDE)
            live.update(Padding(shown, (1, 0)), refresh=True)
            stop.wait(_MOVES_EVERY_S)


def tell(say: Callable[[str], None], board: Board, stop: Event) -> None:
    """Say a line for every actor that is at work, every five seconds until `stop` is set."""
    while not stop.wait(LINES_EVERY_S):
        for figures in board.look():
            if figures.status not in {Status.WAITING, Status.DONE}:
                say(line(figures))


def line(figures: Figures) -> str:
    """One actor in words."""
    name = figures.name if figures.processes < 2 else f"{figures.name} ({figures.processes} workers)"
    told = [
        f"{figures.records:,} records ({figures.records_per_s:,.0f}/s), lag {figures.lag:,}",
        f"{_many(figures.transactions, 'transaction')}, {figures.aborted:,} aborted",
        _many(figures.dead_letters, "dead letter"),
        _many(figures.restarts, "restart"),
    ]
    return f"{name}: {'; '.join(told)}" + _unless_working(figures.status)


def table(board: Sequence[Figures], *, is_wide: bool) -> Table:
    """All actors; what each is at is told by its colour, and on a wide terminal in words."""
    columns = (
        "records",
        "lag",
        "records/s",
        "trans-\nactions",
        "\naborted",
        "dead\nletters",
        "pro-\ncesses",
        "\nrestarts",
    )
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("\n", no_wrap=True)
    for heading in columns:
        shown.add_column(heading if "\n" in heading else f"\n{heading}", justify="right", no_wrap=True)
    if is_wide:
        shown.add_column("\n", no_wrap=True)
    for figures in board:
        cells = [""] * len(columns)
        if figures.status is not Status.WAITING:
            speed = "" if figures.status is Status.DONE else f"{figures.records_per_s:,.0f}"
            counts = (
                figures.transactions,
                figures.aborted,
                figures.dead_letters,
                figures.processes,
                figures.restarts,
            )
            cells = [f"{figures.records:,}", f"{figures.lag:,}", speed, *(f"{count:,}" for count in counts)]
        words = [figures.status.value] if is_wide else []
        shown.add_row(figures.name, *cells, *words, style=_COLOURS[figures.status])
    return shown


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _unless_working(status: Status) -> str:
    return "" if status is Status.WORKING else f" ({status.value})"
