"""One thing that a deploy does, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Effect = Literal["harmless", "notice", "loses state", "impossible"]
"""`notice` = nothing is lost if the advice was followed; `impossible` = no flag makes a worker start."""

Verb = Literal[
    "adds",
    "removes",
    "renames",
    "orphans",
    "re-keys",
    "reshapes",
    "remakes",
    "upgrades",
    "rebuilds",
    "replaces",
    "repartitions",
    "changes",
]

MARKS: Final[Mapping[Effect, str]] = {"impossible": "✗", "loses state": "✗", "notice": "!", "harmless": "✓"}
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a deploy does.

    Attributes:
        verb: what it does, out of a closed set.
        effect: whether state is lost by it.
        what: kind and name: `store 'by-carrier'`, `source topic 'flights'`.
        told: the rest of the sentence.
        advice: what to do; empty where nothing is to be done.
    """

    verb: Verb
    effect: Effect
    what: str
    told: str
    advice: str = ""

    def __str__(self) -> str:
        """One line, and one more with the advice."""
        line = f"{MARKS[self.effect]} {self.verb} {self.what}: {self.told}"
        return f"{line}\n  → {self.advice}" if self.advice else line


def difference(what: str, before: str, now: str) -> str:
    """`values are str before, int now`; empty where they are the same."""
    return "" if before == now else f"{what} are {before} before, {now} now"
