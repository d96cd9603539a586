"""Dead letters grouped by what they have in common, so that a person sees causes and not records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from penstock.deadletter.dead_letter import DeadLetter
from penstock.redrive.ledger import Fate

MAX_GROUPS: Final = 1_000
MAX_SAMPLES: Final = 3
OTHERS: Final = "(others)"
"""The group of whatever comes when there are too many already."""

BY: Final[dict[str, Callable[[DeadLetter], str]]] = {
    "fingerprint": lambda letter: letter.fingerprint,
    "exception": lambda letter: letter.exception,
    "stage": lambda letter: letter.stage,
    "operator": lambda letter: letter.operator,
    "reason": lambda letter: letter.reason,
    "pipeline": lambda letter: letter.pipeline,
    "source": lambda letter: "" if letter.source is None else letter.source.topic,
    "dialect": lambda letter: letter.dialect,
}


@dataclass(slots=True)
class Group:
    """Letters of one kind.

    Attributes:
        name: what they have in common.
        first: the first of them that was read, in brief: its exception, stage and place speak for the group.
        first_ms: when the earliest of them failed, milliseconds since 1970 UTC.
        last_ms: when the latest did.
        fates: how many are open, redriven, dropped.
        samples: where the first few stand.
    """

    name: str
    first: DeadLetter
    first_ms: int
    last_ms: int
    fates: Counter[Fate] = field(default_factory=Counter[Fate])
    samples: list[str] = field(default_factory=list[str])

    @property
    def letters(self) -> int:
        """How many."""
        return self.fates.total()

    def add(self, letter: DeadLetter, fate: Fate) -> None:
        """Count one more."""
        self.first_ms = min(self.first_ms, letter.seen_ms)
        self.last_ms = max(self.last_ms, letter.seen_ms)
        self.fates[fate] += 1
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append(str(letter))


class Groups:
    """Counts letters by what they have in common; in bounded memory.

    Args:
        by: one of `BY`.
    """

    def __init__(self, by: str = "fingerprint") -> None:
        self._name_of = BY[by]
        self._groups: dict[str, Group] = {}

    def add(self, letter: DeadLetter, fate: Fate) -> None:
        """Count one."""
        name = self._name_of(letter)
        if name not in self._groups and len(self._groups) >= MAX_GROUPS:
            name = OTHERS
        if name not in self._groups:
            self._groups[name] = Group(name, letter.in_brief(), letter.seen_ms, letter.seen_ms)
        self._groups[name].add(letter, fate)

    def largest_first(self) -> list[Group]:
        """All groups; those with most open letters first."""
        return sorted(self._groups.values(), key=lambda group: (-group.fates["open"], -group.letters, group.name))
