"""One worker's place: the process that fills it now, or the moment at which the next one will.

```
            start()                dies                 due
 WAITING ───────────► RUNNING ───────────► WAITING ───────────► RUNNING ...
    ▲ at first           │ for good, or while stopping
                         └──────────────────────────► ENDED
```
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from typing import Final, Protocol

from penstock.supervisor.lines import LineStream

_STDOUT: Final = 1
_STDERR: Final = 2
_WHY: Final = {"SIGKILL": " (out of memory?)", "SIGALRM": " (its code did not come back)"}


class Command(Protocol):
    """Makes the line that starts a worker."""

    def __call__(self, number: int, *, is_first: bool) -> Sequence[str]:
        """The program and its arguments."""
        ...


class Place(Enum):
    """What is in it."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class WorkerProcess:
    """A worker's place.

    Args:
        number: from 0.
        command: starts it, given its number and whether it is the first in this place.
    """

    def __init__(self, number: int, command: Command) -> None:
        self.number = number
        self._command = command
        self._is_first = True
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: LineStream | None = None
        self.place = Place.WAITING
        self.start_at_s = 0.0
        """When to start it, while it is waiting."""
        self.exit_code = 0
        """Of the last process: as the shell counts, 128 + N for one that signal N ended."""
        self.last_words: Sequence[str] = ()
        """The last lines on standard error of the last process that died."""

    def start(self) -> tuple[LineStream, ...]:
        """Start a process; the streams of what it writes, to be pumped.

        To be called on the main thread; see `parent.die_with`.
        """
        process = subprocess.Popen(
            list(self._command(self.number, is_first=self._is_first)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own: Ctrl-C on a terminal goes to the supervisor alone, which passes it on once.
            process_group=0,
        )
        streams = []
        for pipe, sink in ((process.stdout, _STDOUT), (process.stderr, _STDERR)):
            assert pipe is not None  # noqa: S101 - asked for above
            streams.append(LineStream(os.dup(pipe.fileno()), sink))
            pipe.close()
        self._process, self._errors, self.place = process, streams[1], Place.RUNNING
        self._is_first = False
        return tuple(streams)

    @property
    def pid(self) -> int:
        """Of the process; 0 when there is none."""
        return 0 if self._process is None else self._process.pid

    def signal(self, number: int) -> None:
        """Send the process a signal, if there is one. May be called from a signal handler."""
        # Once it is known to be dead it may have been waited for, and its id may be another's.
        if self._process is not None and self.place is Place.RUNNING:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End the process and whatever it has started, now."""
        if self._process is not None and self.place is Place.RUNNING:
            _kill_group(self._process.pid)

    def has_died(self) -> bool:
        """Whether the process has ended since the last call; it then has ended what it started, and is `ENDED`."""
        process = self._process
        if process is None or self.place is not Place.RUNNING or not _is_dead(process):
            return False
        self.place = Place.ENDED
        # Children of the worker would keep its locks and its pipes. It is not waited for yet where the system allows,
        # so that nobody else can have its group's id.
        _kill_group(process.pid)
        code = process.wait()
        self.exit_code = code if code >= 0 else 128 - code
        return True

    def bury(self) -> None:
        """To be called when the streams of a dead process are finished: keeps its last words."""
        self.last_words = () if self._errors is None else self._errors.last_words
        self._process = self._errors = None

    def start_again(self, at_s: float) -> None:
        """Have it started again then."""
        self.place, self.start_at_s = Place.WAITING, at_s

    def told(self) -> str:
        """How the last process ended, in words."""
        if self.exit_code > 128:
            with suppress(ValueError):
                name = signal.Signals(self.exit_code - 128).name
                return f"was killed by {name}{_WHY.get(name, '')}"
        return f"ended with exit code {self.exit_code}"


def _is_dead(process: subprocess.Popen[bytes]) -> bool:
    if hasattr(os, "waitid"):  # not on every macOS
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
