"""The stretch of a run that is measured: behind the first records, up to the commit of the last."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from benchmarks.measure import cpu_s


class Measured(msgspec.Struct, kw_only=True):
    """What a process tells when it is done.

    Attributes:
        records: committed within the window.
        wall_s: its length.
        cpu_s: user and system time of the process, all threads.
        commits_ms: how long each commit in it took.
        peak_rss_mb: of the whole run.
    """

    records: int
    wall_s: float
    cpu_s: float
    commits_ms: list[float]
    peak_rss_mb: float


class Window:
    """Opens at the first commit behind `warm_up` records, closes at the one that brings `records`.

    Start and end are commits, so that everything a transaction costs is in it; what a process does once (joining,
    looking schemas up, first touching memory) is not.
    """

    def __init__(self, warm_up: int, records: int) -> None:
        self._warm_up, self._until = warm_up, records
        self._committed = 0
        self._opened_at = 0
        self._wall_s = self._cpu_s = 0.0
        self._commits_ms: list[float] = []
        self._is_open = False
        self.measured: Measured | None = None

    def committed(self, records: int, commit_s: float) -> None:
        """So many records more are committed, and the commit took so long."""
        self._committed += records
        if self._is_open:
            self._commits_ms.append(commit_s * 1_000)
        elif self._committed >= self._warm_up:
            self._is_open, self._opened_at = True, self._committed
            self._wall_s, self._cpu_s = time.perf_counter(), cpu_s()
        if self._committed >= self._until and self.measured is None:
            self.close()

    def close(self) -> None:
        """Close it now; nothing was measured if it was never open."""
        self.measured = Measured(
            records=self._committed - self._opened_at,
            wall_s=time.perf_counter() - self._wall_s,
            cpu_s=cpu_s() - self._cpu_s,
            commits_ms=self._commits_ms,
            peak_rss_mb=_peak_rss_mb(),
        )


def _peak_rss_mb() -> float:
    """From /proc: what getrusage tells begins with the peak of the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
