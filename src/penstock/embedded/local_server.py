"""A server that we run as a process of its own: a broker, a registry."""

from __future__ import annotations

import signal

from penstock.embedded.launched import Launched


class LocalServer:
    """What brokers and registries have in common: they can be killed, stopped and started again, as real ones are.

    ```
            start            stop (SIGSTOP)
      dead ───────▶ running ───────────────▶ stopped
       ▲              │  ▲                      │ │
       │ kill,shutdown│  └──── cont (SIGCONT) ──┘ │
       └──────────────┴────────── kill ───────────┘
    ```

    Args:
        shutdown_timeout_s: how long an orderly shutdown may take before the process is killed.
        log_lines_shown: how much of its log `last_log_lines` gives.
    """

    def __init__(self, *, shutdown_timeout_s: float, log_lines_shown: int) -> None:
        self._shutdown_timeout_s, self._log_lines_shown = shutdown_timeout_s, log_lines_shown
        self._process: Launched | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; a stopped one does."""
        return self._process is not None and self._process.is_alive

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is dead."""
        return self._process.pid if self._process is not None and self._process.is_alive else None

    def kill(self) -> None:
        """SIGKILL, as a power cut of this one machine; returns when the process is gone."""
        self._signal(signal.SIGKILL)
        self._end()

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
        """SIGTERM: let it end in order; killed if that takes too long.

        Returns:
            Its exit code, 128 + n where signal n ended it; -1 when it was never started.
        """
        self.begin_shutdown()
        return self._end()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the process to end by itself; its exit code, None if it is still there."""
        return None if self._process is None else self._process.wait(timeout_s)

    def last_log_lines(self) -> str:
        """The last lines that the process printed since it was started."""
        return "" if self._process is None else self._process.last_log_lines(self._log_lines_shown)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.signal(number)

    def _end(self) -> int:
        return -1 if self._process is None else self._process.end(self._shutdown_timeout_s)
