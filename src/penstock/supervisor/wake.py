"""Ends a wait when a signal comes, also one that came just before the wait began."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import TracebackType
from typing import Self


class Wake:
    """A descriptor that becomes readable with each signal that has a handler, while entered; on the main thread."""

    def __enter__(self) -> Self:
        """Begin."""
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._before = signal.set_wakeup_fd(self._writable, warn_on_full_buffer=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """End."""
        signal.set_wakeup_fd(self._before)
        os.close(self._readable)
        os.close(self._writable)

    def fileno(self) -> int:
        """The descriptor."""
        return self._readable

    def drain(self) -> None:
        """Make it unreadable until the next signal."""
        with suppress(BlockingIOError):
            while os.read(self._readable, 512):
                pass
