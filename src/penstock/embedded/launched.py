"""A process that we start and that dies with us, however we die: a broker, a registry.

Between it and us stands `launcher.py`. Signals go through that: it has not reaped the process yet, so the id cannot be
another process's by now.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")


class Launched:
    """One run of a command, from its start until it was reaped.

    Args:
        command: the executable, by its whole path, and its arguments.
        log_file: what it prints is appended there.
        scratch: a folder that the launcher removes when it is we who go first; None = nothing is removed.
        directory: where it runs; None = where we do.
        environment: of the process; None = ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_file: Path,
        *,
        scratch: Path | None,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log_file = log_file
        arguments = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(scratch or ""), *command]
        with log_file.open("ab") as log:
            self._log_start = log.tell()
            self._launcher = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=directory,
                start_new_session=True,  # a Ctrl-C is for us; we decide how the process ends
            )
        assert self._launcher.stdin is not None  # noqa: S101 - for the type checkers: it is a pipe
        assert self._launcher.stdout is not None  # noqa: S101 - likewise
        self._signals = self._launcher.stdin
        self._told = self._launcher.stdout
        self.launcher_pid = self._launcher.pid
        self.pid = int(self._told.readline())
        """Of the process itself."""

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; a stopped one does."""
        return self._launcher.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that has ended gets none."""
        if not self.is_alive:
            return
        try:
            self._signals.write(bytes([number]))
            self._signals.flush()
        except BrokenPipeError:
            pass  # it ended by itself just now

    def wait(self, timeout_s: float) -> int | None:
        """Wait for it to end by itself; its exit code, 128 + n where signal n ended it, None if it is still there."""
        try:
            return self._launcher.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self, timeout_s: float) -> int:
        """Wait for its end and let go of it; killed if that takes longer. Its exit code, as above."""
        code = self.wait(timeout_s)
        if code is None:
            self.signal(signal.SIGKILL)
            code = self._launcher.wait()
        self._signals.close()
        self._told.close()
        return code

    def last_log_lines(self, count: int) -> str:
        """The last lines that it printed."""
        with self._log_file.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-count:])
