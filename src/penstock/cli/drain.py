"""SIGTERM and Ctrl-C: the first asks for an end in order, the second or the end of the grace time ends the process.

Signals are heard by a thread of their own. Python runs a signal's handler on the main thread, between two of its
instructions: it would wait for a commit, for the group's coordinator, or for user code that hangs in a library. Ending
the process at once leaves a transaction open, which loses nothing: the next start, or its time-out, ends it.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, NoReturn, Self

LOGGER: Final = logging.getLogger("penstock.cli")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_OVER: Final = b"\0"
_LAST_WORDS_S: Final = 1.0


class Drain:
    """Hears signals while entered; to be entered on the main thread.

    Args:
        grace_s: from the first signal to the end at the latest.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._stop: Callable[[], None] | None = None
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._writable, False)
        self._thread = threading.Thread(target=self._hear, name="penstock-signals", daemon=True)

    def __enter__(self) -> Self:
        """Begin to hear."""
        self._wakeup_before = signal.set_wakeup_fd(self._writable, warn_on_full_buffer=False)
        self._before = [signal.signal(number, _heard_elsewhere) for number in _SIGNALS]
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Hear no more: signals mean what they meant before."""
        for number, before in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup_before)
        os.write(self._writable, _OVER)
        self._thread.join()
        os.close(self._readable)
        os.close(self._writable)

    def calls(self, stop: Callable[[], None]) -> None:
        """What the first signal calls, on another thread; before that it ends the process."""
        self._stop = stop

    def _hear(self) -> None:
        first = self._next(None)
        if first is None:
            return
        if self._stop is None:
            _end(first, "stopping; nothing has begun")
        self._stop()
        LOGGER.info("stopping: what is done is committed within %.0f s; a second signal stops at once", self._grace_s)
        try:
            second = self._next(time.monotonic() + self._grace_s)
        except TimeoutError:
            _end(first, f"not done in {self._grace_s:.0f} s: leaving with the transaction open, which loses nothing")
        if second is not None:
            _end(second, "leaving at once, with the transaction open, which loses nothing")

    def _next(self, until_s: float | None) -> int | None:
        """The next of our signals; None = the block has ended.

        Raises:
            TimeoutError: none until then, on the monotonic clock.
        """
        while True:
            left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
            if not select.select([self._readable], [], [], left_s)[0]:
                raise TimeoutError
            number = os.read(self._readable, 1)
            if number == _OVER:
                return None
            if number[0] in _SIGNALS:
                return number[0]


def _heard_elsewhere(_number: int, _frame: FrameType | None) -> None:
    """Without a handler of Python's, nothing is written to the descriptor."""


def _end(number: int, why: str) -> NoReturn:
    """End the process, as a shell tells a death by this signal: 130 or 143."""
    # A terminal that is held up must not hold this up.
    threading.Timer(_LAST_WORDS_S, os._exit, [128 + number]).start()
    LOGGER.warning(why)
    os._exit(128 + number)
