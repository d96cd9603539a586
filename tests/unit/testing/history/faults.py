"""One thing that goes wrong in a random history, once."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.testing.history import Place


@dataclass
class Faults:
    """One fault, at one of its opportunities.

    Attributes:
        kind: which; None = none.
        nth: at the how manyeth opportunity, from 0.
        planted: where it was done: what the verdict has to name.
    """

    kind: str | None = None
    nth: int = 0
    planted: list[tuple[Place, int]] = field(default_factory=list[tuple[Place, int]])
    pending: dict[str, list[tuple[Place, int]]] = field(default_factory=dict[str, list[tuple[Place, int]]])
    seen: int = 0
    is_armed: bool = True

    def strikes(self, kind: str) -> bool:
        """Whether it happens here."""
        if kind != self.kind or not self.is_armed:
            return False
        self.seen += 1
        self.is_armed = self.seen <= self.nth
        return not self.is_armed

    def note(self, worker: str, place: Place, offset: int) -> None:
        """It has happened, in the transaction that the worker is in."""
        self.pending.setdefault(worker, []).append((place, offset))

    def end(self, worker: str, *, is_commit: bool) -> None:
        """That transaction is over; if it was aborted, nothing has happened."""
        noted = self.pending.pop(worker, [])
        self.planted += noted if is_commit else []
        self.is_armed = self.is_armed or bool(noted and not is_commit)
