"""The registry as a process of its own, for demos and tests; it dies with the one that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from penstock.embedded import launcher
from penstock.errors import DuplicateIdentity, ExitCode, StartFailed

_START_TIMEOUT_S = 60.0
_SHUTDOWN_TIMEOUT_S = 15.0
_LOG_LINES_SHOWN = 30


class StartSettings(msgspec.Struct, kw_only=True):
    """What the process is told, in a private file: options may hold passwords, and command lines are public."""

    bootstrap_servers: str
    client: dict[str, str | int | float | bool]
    port: int
    topic: str
    session_timeout_s: float


class RegistryServer:
    """A schema registry on the loopback address, for development and a single node.

    Args:
        bootstrap_servers: the cluster that holds its topic.
        port: 0 takes a free one, which `restart` keeps.
        topic: the log; made if it is not there.
        session_timeout_s: how long a registry that was killed keeps a successor waiting. Brokers refuse less than 6 s
            by default, the embedded one less than 1 s.
        client: librdkafka options for the connection, such as security.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        port: int = 0,
        topic: str = "_schemas",
        session_timeout_s: float = 6.0,
        client: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        self._settings = StartSettings(
            bootstrap_servers=bootstrap_servers,
            client=dict(client or {}),
            port=port,
            topic=topic,
            session_timeout_s=session_timeout_s,
        )
        self._directory: Path | None = None
        self._launcher: subprocess.Popen[bytes] | None = None
        self.url = ""
        """Where it answers; empty until the first start."""

    def __enter__(self) -> Self:
        """Start, and return when requests are answered."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Shut down, and leave nothing on disk."""
        self.shutdown()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; a stopped one does."""
        return self._launcher is not None and self._launcher.poll() is None

    def start(self) -> None:
        """Start the process, and return when requests are answered.

        Raises:
            DuplicateIdentity: another registry writes the topic.
            StartFailed: it did not come up; the message has its last log lines.
        """
        directory = self._directory = self._directory or Path(tempfile.mkdtemp(prefix="penstock-registry-"))
        ready, settings = directory / "url", directory / "settings.json"
        ready.unlink(missing_ok=True)
        settings.touch(mode=0o600)
        settings.write_bytes(msgspec.json.encode(self._settings))
        serve = [sys.executable, "-m", "penstock.embedded.registry", str(settings)]
        with (directory / "log").open("wb") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(directory), *serve],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for us; we decide how the registry ends
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not ready.exists():
            if not self.is_alive or time.monotonic() > deadline:
                raise self._start_failure()
            time.sleep(0.02)
        self.url = ready.read_text()
        self._settings.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone. Its place in the group stays taken for the session time-out."""
        self._signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing, as a process that hangs."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: go on after `stop`."""
        self._signal(signal.SIGCONT)

    def shutdown(self) -> None:
        """SIGTERM: answer what was asked, and leave the group, so that a successor need not wait."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        self._reap()

    def restart(self) -> None:
        """Start again on the same port, after an orderly shutdown if it is running; returns when it answers.

        Raises:
            StartFailed: it did not come up; the message has its last log lines.
        """
        self.shutdown()
        self.start()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the process to end by itself; its exit code, None if it is still there."""
        if self._launcher is None:
            return None
        try:
            return self._launcher.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_log_lines(self) -> str:
        """The last lines that the process printed since it was started."""
        if self._directory is None:
            return ""
        lines = (self._directory / "log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _start_failure(self) -> StartFailed | DuplicateIdentity:
        code = self.wait(0)
        self.kill()
        lines = self.last_log_lines()
        if code == ExitCode.DUPLICATE_IDENTITY:
            return DuplicateIdentity(lines.rpartition("error: ")[2])
        return StartFailed(f"the schema registry did not come up (exit code {code}); its last words:\n{lines}")

    def _signal(self, number: signal.Signals) -> None:
        if self._launcher is None or self._launcher.stdin is None or not self.is_alive:
            return
        try:
            self._launcher.stdin.write(bytes([number]))  # through the launcher, which alone knows the id for certain
            self._launcher.stdin.flush()
        except BrokenPipeError:
            pass  # it ended by itself just now

    def _reap(self) -> None:
        if self._launcher is None:
            return
        if self.wait(_SHUTDOWN_TIMEOUT_S) is None:
            self._signal(signal.SIGKILL)
            self._launcher.wait()
        for pipe in (self._launcher.stdin, self._launcher.stdout):
            if pipe is not None:
                pipe.close()
        self._launcher = None
