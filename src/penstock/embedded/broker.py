"""One broker: an OS process that can be killed, stopped and started again, as real ones are."""

from __future__ import annotations

from pathlib import Path

from penstock.embedded.jvm import KAFKA, Jvm
from penstock.embedded.launched import Launched
from penstock.embedded.local_server import LocalServer
from penstock.embedded.orphans import forget, remember
from penstock.embedded.serving import wait_until_serving

SHUTDOWN_TIMEOUT_S = 30.0
LOG_LINES_SHOWN = 50


class Broker(LocalServer):
    """One node of a `KafkaCluster`.

    Attributes:
        node_id: 1 for the first.
        port: where clients connect, on the loopback address.
        directory: settings, log of the process, and data of this node.
    """

    def __init__(
        self,
        node_id: int,
        port: int,
        directory: Path,
        jvm: Jvm,
        *,
        remove_with_owner: bool,
    ) -> None:
        super().__init__(shutdown_timeout_s=SHUTDOWN_TIMEOUT_S, log_lines_shown=LOG_LINES_SHOWN)
        self.node_id = node_id
        self.port = port
        self.directory = directory
        self.jvm = jvm
        self._remove_with_owner = remove_with_owner

    @property
    def data(self) -> Path:
        """The broker's `log.dirs`: one folder per partition, segments inside."""
        return self.directory / "data"

    @property
    def settings_file(self) -> Path:
        """Its `server.properties`."""
        return self.directory / "server.properties"

    @property
    def log_file(self) -> Path:
        """What the process prints: warnings and errors."""
        return self.directory / "broker.log"

    def start(self, *, write_archive_to: Path | None = None) -> None:
        """Start the process and return at once; the cluster knows when it serves."""
        self._process = Launched(
            self.jvm.command(KAFKA, [str(self.settings_file)], write_archive_to=write_archive_to),
            self.log_file,
            scratch=self.directory if self._remove_with_owner else None,
            directory=self.directory,  # where a JVM that crashes leaves its report
            environment=self.jvm.environment(),
        )
        remember(self._process.pid, self._process.launcher_pid, self.directory)

    def restart(self) -> None:
        """Start again on the same port and data, after an orderly shutdown if it is running; returns when it serves.

        Raises:
            StartFailed: it did not come up; the message has its last log lines.
        """
        self.shutdown()
        self.start()
        wait_until_serving(self)

    def _end(self) -> int:
        code = super()._end()
        if self._process is not None:
            forget(self._process.pid)
        return code
