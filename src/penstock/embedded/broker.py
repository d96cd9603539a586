"""One broker: an OS process that can be killed, stopped and started again, as real ones are."""

from __future__ import annotations

import signal
from pathlib import Path

from penstock.embedded.jvm import KAFKA, Jvm
from penstock.embedded.launched import Launched
from penstock.embedded.orphans import forget, remember
from penstock.embedded.serving import wait_until_serving

SHUTDOWN_TIMEOUT_S = 30.0
LOG_LINES_SHOWN = 50


class Broker:
    """One node of a `KafkaCluster`.

    ```
            start            stop (SIGSTOP)
      dead ───────▶ running ───────────────▶ stopped
       ▲              │  ▲                      │ │
       │ kill,shutdown│  └──── cont (SIGCONT) ──┘ │
       └──────────────┴────────── kill ───────────┘
    ```

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
        self.node_id = node_id
        self.port = port
        self.directory = directory
        self.jvm = jvm
        self._remove_with_owner = remove_with_owner
        self._process: Launched | None = None

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

    @property
    def pid(self) -> int | None:
        """Process id of the JVM; None while it is dead."""
        return self._process.pid if self._process is not None and self._process.is_alive else None

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; a stopped one does."""
        return self._process is not None and self._process.is_alive

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

    def kill(self) -> None:
        """SIGKILL, as a power cut of this one machine; returns when the process is gone."""
        self._signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """SIGSTOP: the process keeps its connections and answers nothing, as one that hangs."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT: go on after `stop`."""
        self._signal(signal.SIGCONT)

    def begin_shutdown(self) -> None:
        """SIGTERM, also to a stopped process; returns at once."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)

    def shutdown(self) -> int:
        """SIGTERM: hand leadership over and close the logs; killed if that takes longer than 30 seconds.

        Returns:
            Its exit code, 128 + n where signal n ended it; -1 when it was never started.
        """
        self.begin_shutdown()
        return self._reap()

    def restart(self) -> None:
        """Start again on the same port and data, after an orderly shutdown if it is running; returns when it serves.

        Raises:
            StartFailed: it did not come up; the message has its last log lines.
        """
        self.shutdown()
        self.start()
        wait_until_serving(self)

    def last_log_lines(self) -> str:
        """The last 50 lines that this process printed since it was started."""
        return "" if self._process is None else self._process.last_log_lines(LOG_LINES_SHOWN)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.signal(number)

    def _reap(self) -> int:
        if self._process is None:
            return -1
        code = self._process.end(SHUTDOWN_TIMEOUT_S)
        forget(self._process.pid)
        return code
