"""How much trouble a run bears: how long without a commit, and how often fenced."""

from __future__ import annotations

from penstock.clock import Clock
from penstock.errors import DuplicateIdentity, Fenced, ServerUnreachable

MAX_FENCES = 3
FENCE_WINDOW_S = 300.0
_LONGEST_PAUSE_S = 5.0


class Patience:
    """Notes each trouble, and ends the run when it is one too many.

    Args:
        who: begins the messages.
        what: of which nothing was committed.
        patience_s: how long trouble may last without a commit in between.
        clock: time.
    """

    def __init__(self, who: str, what: str, patience_s: float, clock: Clock) -> None:
        self._who, self._what = who, what
        self._patience_s = patience_s
        self._clock = clock
        self._since_s: float | None = None
        self._fences: list[float] = []

    def renew(self) -> None:
        """Something was committed, or there is nothing to commit: what was before is forgiven.

        A claim is no reason: where every other transaction fails, claims succeed all the same.
        """
        self._since_s = None

    def bear(self, exc: Exception, *, pauses: bool = True) -> None:
        """Pause before the next try, the longer the trouble lasts.

        Args:
            exc: the trouble.
            pauses: False where the next try is another one.

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
                f"{self._who}: no {self._what} committed for {lasted_s:.0f} s; the last error: {exc}"
            ) from exc
        if pauses:
            self._clock.sleep(min(_LONGEST_PAUSE_S, 0.1 + lasted_s / 10))

    def _count(self, exc: Fenced) -> None:
        now_s = self._clock.monotonic_s()
        self._fences = [at_s for at_s in self._fences if now_s - at_s < FENCE_WINDOW_S] + [now_s]
        if len(self._fences) >= MAX_FENCES:
            raise DuplicateIdentity(
                f"{self._who} was fenced {MAX_FENCES} times in {FENCE_WINDOW_S:.0f} s: another live "
                "process has its name; stop one of them"
            ) from exc
