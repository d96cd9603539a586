"""Fenced once may be a time-out of our own; fenced again and again is another live worker with our identity."""

from __future__ import annotations

from penstock.clock import Clock
from penstock.errors import DuplicateIdentity, Fenced

MAX_FENCES = 3
FENCE_WINDOW_S = 300.0


class Fences:
    """Counts them.

    Args:
        clock: monotonic time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_s: list[float] = []

    def count(self, exc: Fenced) -> None:
        """One more.

        Raises:
            DuplicateIdentity: it was the third in five minutes.
        """
        now_s = self._clock.monotonic_s()
        self._at_s = [at_s for at_s in self._at_s if now_s - at_s < FENCE_WINDOW_S] + [now_s]
        if len(self._at_s) >= MAX_FENCES:
            raise DuplicateIdentity(
                f"fenced {MAX_FENCES} times in {FENCE_WINDOW_S:.0f} s: another live worker has this identity; give one "
                "of them another instance name"
            ) from exc
