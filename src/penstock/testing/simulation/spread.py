"""Work that is spread over processes, with its progress shown."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")
U = TypeVar("U")

_LINE_EVERY_S: Final = 5.0


def spread(work: Callable[[T], U], items: Sequence[T], *, jobs: int, what: str) -> Iterator[U]:
    """What comes of each item, in their order: a bar on a terminal, a line now and then elsewhere, on standard error.

    Args:
        work: a function of a module.
        items: what it is given, one after the other.
        jobs: processes.
        what: they are, for the bar.
    """
    with ProcessPoolExecutor(jobs, initializer=_settle, initargs=(work,)) as pool:
        yield from _shown(pool.map(work, items), len(items), what)


def _settle(work: object) -> None:
    """Leave modules and classes to themselves, those of `work` too: no collection has to walk through them again."""
    del work  # it is here to be imported
    gc.collect()
    gc.freeze()


def _shown(parts: Iterator[U], count: int, what: str) -> Iterator[U]:
    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(parts, what, total=count, console=console)
        return
    told_at_s = time.monotonic()
    for number, part in enumerate(parts, start=1):
        if time.monotonic() - told_at_s > _LINE_EVERY_S:
            told_at_s = time.monotonic()
            print(f"{what}: {number} of {count}", file=sys.stderr, flush=True)  # noqa: T201
        yield part
