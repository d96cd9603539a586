"""How much trouble a run bears: how long without a committed row, and how often fenced."""

from __future__ import annotations

from penstock.clock import Clock
from penstock.errors import DuplicateIdentity, Fenced, ServerUnreachable

MAX_FENCES = 3
FENCE_WINDOW_S = 300.0
_LONGEST_PAUSE_S = 5.0


class Patience:
    """Notes each trouble, and ends the run when it is one too many.

    Args:
        producer: its name, for messages.
        patience_s: how long trouble may last without a row committed in between.
        clock: time.
    """

    def __init__(self, producer: str, patience_s: float, clock: Clock) -> None:
        self._producer = producer
        self._patience_s = patience_s
        self._clock = clock
        self._since_s: float | None = None
        self._fences: list[float] = []

    def renew(self) -> None:
        """Rows were committed, or there are none: what was before is forgiven.

        A claim is no reason: where every transaction of rows fails, claims succeed all the same.
        """
        self._since_s = None

    def bear(self, exc: Exception) -> None:
        """Pause before the next try, the longer the trouble lasts.

        Raises:
            DuplicateIdentity: fenced too often to be a matter of lateness.
            ServerUnreachable: it has lasted too long.
        """
        if isinstance(exc, Fenced):
            self._count(exc)
        now_s = self._clock.monotonic_s()
        if self._since_s is None:
            self._since_s = now_s
        lasted_s = now_s - self._since_s
        if lasted_s > self._patience_s:
            raise ServerUnreachable(
                f"producer '{self._producer}': no row committed for {lasted_s:.0f} s; the last error: {exc}"
            ) from exc
        self._clock.sleep(min(_LONGEST_PAUSE_S, 0.1 + lasted_s / 10))

    def _count(self, exc: Fenced) -> None:
        now_s = self._clock.monotonic_s()
        self._fences = [at_s for at_s in self._fences if now_s - at_s < FENCE_WINDOW_S] + [now_s]
        if len(self._fences) >= MAX_FENCES:
            raise DuplicateIdentity(
                f"producer '{self._producer}' was fenced {MAX_FENCES} times in {FENCE_WINDOW_S:.0f} s: another live "
                "process has its name; stop one of them"
            ) from exc
