"""So many records a second: how many of them make a transaction, and how long to wait behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from penstock.clock import Clock

_SLICE_S: Final = 0.1


def fitting(most: int, rate: float | None, interval_s: float) -> int:
    """How many records a transaction may have, `most` at the most: what the rate has for an interval, and at least one.

    Else a fast source would fill a whole transaction and then be held for as long as that many records take.

    Args:
        most: as many as without a rate.
        rate: records per second; None = as fast as they come.
        interval_s: how long a transaction is open.
    """
    return most if rate is None else max(1, min(most, int(rate * interval_s)))


def hold(count: int, began_s: float, rate: float | None, clock: Clock, is_stopping: Callable[[], bool]) -> None:
    """Wait until so many records, begun at this moment of the monotonic clock, are no more than the rate.

    In slices, so that somebody who wants to stop is heard.
    """
    if rate is None:
        return
    due_s = began_s + count / rate
    while not is_stopping() and (left_s := due_s - clock.monotonic_s()) > 0:
        clock.sleep(min(left_s, _SLICE_S))
