"""What the operating system says of this process; where it does not say (no /proc), nothing is told."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from penstock.monitoring import catalogue
from penstock.monitoring.exposition import Family, one

_PROC: Final = Path("/proc/self")
_STARTED_S: Final = time.time()


def process_families() -> list[Family]:
    """As of now."""
    times = os.times()
    told = [one(catalogue.CPU, times.user + times.system), one(catalogue.STARTED, round(_STARTED_S, 3))]
    try:
        pages = int((_PROC / "statm").read_text().split()[1])
        files = len(os.listdir(_PROC / "fd"))  # noqa: PTH208 - only their number is wanted
    except OSError:
        return told
    return [*told, one(catalogue.MEMORY, pages * os.sysconf("SC_PAGE_SIZE")), one(catalogue.OPEN_FILES, files)]
