"""What many seeds have shown, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from penstock.testing.simulation.verdict import Verdict


@dataclass(slots=True)
class Tally:
    """Of the seeds that were played.

    Attributes:
        seeds: how many.
        happened: {(what went wrong, step or request): how often}.
        failed: {seed: what was wrong}.
        aborts: transactions that were discarded.
        rotations: producers that were replaced.
        lives: of workers.
        seconds: on the clusters' clocks.
    """

    seeds: int = 0
    happened: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    failed: dict[int, list[Verdict]] = field(default_factory=dict[int, list[Verdict]])
    aborts: int = 0
    rotations: int = 0
    lives: int = 0
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Take another one in."""
        self.seeds += other.seeds
        self.happened += other.happened
        self.failed |= other.failed
        self.aborts += other.aborts
        self.rotations += other.rotations
        self.lives += other.lives
        self.seconds += other.seconds

    def lines(self) -> Iterator[str]:
        """Coverage and sums."""
        yield from table_of(self.happened)
        faults = self.happened.total()
        yield ""
        yield (
            f"{self.seeds:,} seeds: {faults:,} faults, {self.lives:,} lives of workers, {self.aborts:,} transactions "
            f"discarded, {self.rotations:,} producers replaced for a doubt, {self.seconds / 3600:,.1f} h on the "
            "clusters' clocks"
        )


def table_of(happened: Counter[tuple[str, str]]) -> Iterator[str]:
    """A line for each step and request, with how often each fault took place there."""
    actions = sorted({action for action, _ in happened})
    steps = sorted({step for _, step in happened})
    width = max((len(step) for step in steps), default=4)
    yield f"{'':{width}}  " + "  ".join(actions)
    for step in steps:
        yield f"{step:{width}}  " + "  ".join(f"{happened[action, step] or '.':>{len(action)}}" for action in actions)


def told(verdicts: Iterable[Verdict], most: int = 5) -> Iterator[str]:
    """A line each."""
    found = list(verdicts)
    yield from (f"    {verdict}" for verdict in found[:most])
    if len(found) > most:
        yield f"    and {len(found) - most} more"
