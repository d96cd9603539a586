"""What many seeds have shown, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from penstock.testing.simulation.finding import Finding
from penstock.testing.simulation.scenario import Scenario
from penstock.testing.simulation.world import Played

_PAGE: Final = """\
<!-- Written by `make simulate ARGS="--write docs/reference/simulated-faults.md"`. -->
# Simulated faults

How often each fault took place at each step or request, in {seeds:,} seeds of `make simulate`, from seed {first} on.
None of them failed. [What the faults are](../explanation/simulation.md#random-pipelines-random-faults).

```text
{table}
```

{sums}.
"""


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
        shapes: {a property of pipelines: how many had it}.
    """

    seeds: int = 0
    happened: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    failed: dict[int, list[Finding]] = field(default_factory=dict[int, list[Finding]])
    aborts: int = 0
    rotations: int = 0
    lives: int = 0
    seconds: float = 0.0
    shapes: Counter[str] = field(default_factory=Counter[str])

    @classmethod
    def of(cls, scenario: Scenario, played: Played) -> Self:
        """One seed."""
        shape = scenario.shape
        has = {
            "a table to join": shape.joins,
            "a second half": shape.keys > 0,
            "what fails tried again while its task waits": shape.retry == "partition",
            "what fails parked with its key": shape.retry == "key",
            "no transactions (at least once)": scenario.guarantee == "at_least_once",
            "groups by KIP-848": scenario.protocol == "consumer",
            "static members": scenario.is_static,
        }
        return cls(
            1,
            played.happened,
            {scenario.seed: played.findings} if played.findings else {},
            played.aborts,
            played.rotations,
            played.lives,
            played.seconds,
            Counter(name for name, is_so in has.items() if is_so),
        )

    def add(self, other: Tally) -> None:
        """Take another one in."""
        self.seeds += other.seeds
        self.happened += other.happened
        self.failed |= other.failed
        self.aborts += other.aborts
        self.rotations += other.rotations
        self.lives += other.lives
        self.seconds += other.seconds
        self.shapes += other.shapes

    def lines(self) -> Iterator[str]:
        """Coverage and sums."""
        yield from table_of(self.happened)
        yield ""
        yield self.sums()

    def sums(self) -> str:
        """In one sentence."""
        shapes = ", ".join(f"{count:,} with {name}" for name, count in sorted(self.shapes.items()))
        return (
            f"{self.seeds:,} seeds: {self.happened.total():,} faults, {self.lives:,} lives of workers, {self.aborts:,} "
            f"transactions discarded, {self.rotations:,} producers replaced for a doubt, {self.seconds / 3600:,.1f} h "
            f"on the clusters' clocks; pipelines: {shapes or 'none of note'}"
        )


def page(tally: Tally, first: int) -> str:
    """The page for the documentation, of seeds from `first` on that all passed."""
    return _PAGE.format(seeds=tally.seeds, first=first, table="\n".join(table_of(tally.happened)), sums=tally.sums())


def table_of(happened: Counter[tuple[str, str]]) -> Iterator[str]:
    """A line for each step and request, with how often each fault took place there."""
    actions = sorted({action for action, _ in happened})
    steps = sorted({step for _, step in happened})
    width = max((len(step) for step in steps), default=4)
    yield f"{'':{width}}  " + "  ".join(actions)
    for step in steps:
        yield f"{step:{width}}  " + "  ".join(f"{happened[action, step] or '.':>{len(action)}}" for action in actions)


def told(findings: Iterable[Finding], most: int = 5) -> Iterator[str]:
    """A line each."""
    found = list(findings)
    yield from (f"    {finding}" for finding in found[:most])
    if len(found) > most:
        yield f"    and {len(found) - most} more"
