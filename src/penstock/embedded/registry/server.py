"""The registry as a process of its own, for demos and tests; it dies with the one that started it."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from penstock.embedded.launched import Launched
from penstock.embedded.local_server import LocalServer
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


class RegistryServer(LocalServer):
    """A schema registry on the loopback address, for development and a single node.

    One that is killed keeps its place in the group for the session time-out; one that is shut down leaves it at once.

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
        super().__init__(shutdown_timeout_s=_SHUTDOWN_TIMEOUT_S, log_lines_shown=_LOG_LINES_SHOWN)
        self._settings = StartSettings(
            bootstrap_servers=bootstrap_servers,
            client=dict(client or {}),
            port=port,
            topic=topic,
            session_timeout_s=session_timeout_s,
        )
        self._directory: Path | None = None
        self.url = ""
        """Where it answers; empty until the first start."""

    def __enter__(self) -> Self:
        """Start, and return when requests are answered."""
        try:
            self.start()
        except BaseException:
            self.shutdown()
            self._remove_files()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Shut down, and leave nothing on disk."""
        self.shutdown()
        self._remove_files()

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
        command = [sys.executable, "-m", "penstock.embedded.registry", str(settings)]
        self._process = Launched(command, directory / "log", scratch=directory)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not ready.exists():
            if not self.is_alive or time.monotonic() > deadline:
                raise self._start_failure()
            time.sleep(0.02)
        self.url = ready.read_text()
        self._settings.port = int(self.url.rpartition(":")[2])

    def restart(self) -> None:
        """Start again on the same port, after an orderly shutdown if it is running; returns when it answers.

        Raises:
            StartFailed: it did not come up; the message has its last log lines.
        """
        self.shutdown()
        self.start()

    def _start_failure(self) -> StartFailed | DuplicateIdentity:
        code = self.wait(0)
        self.kill()
        lines = self.last_log_lines()
        if code == ExitCode.DUPLICATE_IDENTITY:
            return DuplicateIdentity(lines.rpartition("error: ")[2])
        return StartFailed(f"the schema registry did not come up (exit code {code}); its last words:\n{lines}")

    def _remove_files(self) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
