"""Say how long work goes on: a bar on a terminal, elsewhere a line every five seconds; on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 5.0
_MB = 1_000_000


class ByteProgress:
    """What the worker tells; called from any thread."""

    def __init__(self) -> None:
        self.done = 0
        self.doing = ""
        self._lock = threading.Lock()

    def advance(self, size: int) -> None:
        """`size` more bytes are there."""
        with self._lock:
            self.done += size

    def describe(self, doing: str) -> None:
        """What is being done now."""
        self.doing = doing


@contextmanager
def byte_progress(title: str, total: int, console: Console | None = None) -> Generator[ByteProgress, None, None]:
    """Show the work inside the block as bytes out of `total`."""
    console = console or Console(file=sys.stderr)
    progress = ByteProgress()
    show = _bar if console.is_terminal else _lines
    stop = threading.Event()
    shower = threading.Thread(target=show, args=(console, title, total, progress, stop), daemon=True)
    shower.start()
    try:
        yield progress
    finally:
        stop.set()
        shower.join()


def _bar(console: Console, title: str, total: int, progress: ByteProgress, stop: threading.Event) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        while not stop.wait(0.1):
            bar.update(task, completed=progress.done, description=f"{title}: {progress.doing}")


def _lines(console: Console, title: str, total: int, progress: ByteProgress, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(LINE_EVERY_S):
        seconds = time.monotonic() - started
        done = f"{progress.done / _MB:.0f} of {total / _MB:.0f} MB"
        console.print(f"{title}: {progress.doing}, {done} after {seconds:.0f} s", highlight=False, soft_wrap=True)
