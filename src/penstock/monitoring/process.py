"""What the operating system and Python say of this process; where one does not say (no /proc), nothing is told."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Final

from penstock.monitoring import process_catalogue as catalogue
from penstock.monitoring.exposition import Family, one

_PROC: Final = Path("/proc/self")
_STARTED_S: Final = time.time()


def process_families() -> list[Family]:
    """As of now."""
    times = os.times()
    told = [
        one(catalogue.CPU, times.user + times.system),
        one(catalogue.STARTED, round(_STARTED_S, 3)),
        *_garbage_families(),
    ]
    try:
        pages = int((_PROC / "statm").read_text().split()[1])
        files = len(os.listdir(_PROC / "fd"))  # noqa: PTH208 - only their number is wanted
    except OSError:
        return told
    return [*told, one(catalogue.MEMORY, pages * os.sysconf("SC_PAGE_SIZE")), one(catalogue.OPEN_FILES, files)]


def _garbage_families() -> list[Family]:
    """Python counts that itself: nothing is called when it looks for garbage, and a scrape reads nine numbers."""
    generations = gc.get_stats()
    return [
        Family(metric, [((str(number),), each[key]) for number, each in enumerate(generations)])
        for metric, key in (
            (catalogue.GC_RUNS, "collections"),
            (catalogue.GC_COLLECTED, "collected"),
            (catalogue.GC_UNCOLLECTABLE, "uncollectable"),
        )
    ]
