"""Ends the process when code does not come back: a loop without an end, a lock that nobody releases.

A thread of Python's could not: code in C may hold the interpreter's lock for ever, as a regular expression does that
backtracks. So the timer is the kernel's, and what it sets off is C's: the places of all threads go to standard error,
and the process dies by SIGALRM, as it would of a crash. Whoever is started next finds the record by the attempt ledger.

A process has one such timer; user code that calls `signal.alarm` takes it away.
"""

from __future__ import annotations

import faulthandler
import signal
from types import TracebackType
from typing import Final, Self

_SIGNAL: Final = signal.SIGALRM


class HangTimer:
    """Runs between `start` and `stop`, while entered.

    Args:
        seconds: how long code may take to come back; None = for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __enter__(self) -> Self:
        """Take the signal."""
        if self._seconds is not None:
            # Behind the traceback comes what the signal did before, which is the end of the process.
            faulthandler.register(_SIGNAL, all_threads=True, chain=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Give it back."""
        if self._seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.unregister(_SIGNAL)

    def start(self) -> None:
        """From now on; anew, if it runs already."""
        if self._seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def stop(self) -> None:
        """The code has come back."""
        if self._seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
