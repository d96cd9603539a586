"""A sign of life on disk, for who cannot look into the process: a container's health check.

A worker touches its file while its loop turns. `python -m penstock.supervisor.heartbeat STATE_DIRECTORY` ends with 0 if
one was touched lately, else with 1: then no worker here has polled, whether they hang, wait to be started again or have
never begun. One of several that hangs is not told by this; its partitions go to the others.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from penstock.clock import Clock
from penstock.errors import ExitCode
from penstock.runtime.hooks import WorkerHooks

FOLDER: Final = "heartbeats"
MAX_AGE_S: Final = 120.0
"""The group takes a member that has not polled for so long for dead, too (`max.poll.interval.ms`)."""
_EVERY_S: Final = 1.0


class Heartbeat(WorkerHooks):
    """Touches a worker's file at every poll, but no more often than once a second.

    Args:
        state_directory: of this place.
        worker: its `transactional.id`.
        clock: time.
    """

    def __init__(self, state_directory: Path, worker: str, clock: Clock) -> None:
        folder = state_directory / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = folder / worker
        self._clock = clock
        self._due_at_s = clock.monotonic_s()

    def on_poll(self, records: int, duration_s: float) -> None:
        """The loop turns."""
        del records, duration_s
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_at_s:
            self._due_at_s = now_s + _EVERY_S
            self._file.touch(0o600)


def last_beat_s(state_directory: Path, now_s: float) -> float | None:
    """Seconds since the last sign of any worker; None = there was none ever."""
    beats = [file.stat().st_mtime for file in (state_directory / FOLDER).glob("*")]
    return now_s - max(beats) if beats else None


def main(state_directory: Path) -> ExitCode:
    """Judge, and say why."""
    age_s = last_beat_s(state_directory, time.time())
    if age_s is not None and age_s < MAX_AGE_S:
        return ExitCode.DONE
    told = "no worker has ever polled" if age_s is None else f"the last poll of a worker was {age_s:.0f} s ago"
    sys.stderr.write(f"{told} ({state_directory})\n")
    return ExitCode.FINDINGS


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
