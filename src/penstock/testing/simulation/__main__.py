"""`python -m penstock.testing.simulation`: many seeds, or all mutants."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import track

from penstock.testing.simulation.hunt import Kill, hunted
from penstock.testing.simulation.mutants import MUTANTS
from penstock.testing.simulation.report import Tally, told
from penstock.testing.simulation.scenario import Scenario, scenario_of
from penstock.testing.simulation.shrink import as_test, shrunk
from penstock.testing.simulation.world import play

T = TypeVar("T")

_CHUNK: Final = 10
_LINE_EVERY_S: Final = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing was found that should not be, and everything was that should."""
    parser = argparse.ArgumentParser(prog="penstock.testing.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many; of a mutant: at most")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--mutants", action="store_true", help="break the engine on purpose, and see whether it shows")
    parser.add_argument("--only", default="", help="mutants whose name has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.jobs) as pool:
        if options.mutants:
            return _mutants(pool, options.seeds, options.only)
        return _seeds(pool, options.first, options.seeds)


def tally_of(seeds: Iterable[int]) -> Tally:
    """Play these."""
    tally = Tally()
    for seed in seeds:
        played = play(scenario_of(seed))
        tally.add(
            Tally(
                1,
                played.happened,
                {seed: played.verdicts} if played.verdicts else {},
                played.aborts,
                played.rotations,
                played.lives,
                played.seconds,
            )
        )
    return tally


def _seeds(pool: ProcessPoolExecutor, first: int, count: int) -> int:
    chunks = [range(at, min(at + _CHUNK, first + count)) for at in range(first, first + count, _CHUNK)]
    tally = Tally()
    for part in _shown(pool.map(tally_of, chunks), len(chunks), f"{count:,} seeds"):
        tally.add(part)
    print("\n".join(tally.lines()))  # noqa: T201
    for seed, verdicts in sorted(tally.failed.items()):
        print(f"\nseed {seed}:")  # noqa: T201
        print("\n".join(told(verdicts)))  # noqa: T201
    if tally.failed:
        seed, verdicts = min(tally.failed.items())
        name = verdicts[0].name

        def fails(scenario: Scenario) -> bool:
            return any(verdict.name == name for verdict in play(scenario).verdicts)

        print(f"\nseed {seed}, shrunk:\n")  # noqa: T201
        print(as_test(shrunk(scenario_of(seed), fails)))  # noqa: T201
    print(f"{tally.seeds:,} seeds, {len(tally.failed):,} failed")  # noqa: T201
    return 1 if tally.failed else 0


def _mutants(pool: ProcessPoolExecutor, most_seeds: int, only: str) -> int:
    places = [place for place, mutant in enumerate(MUTANTS) if only in mutant.name]
    kills = list(_shown(pool.map(hunted, places, [most_seeds] * len(places)), len(places), f"{len(places)} mutants"))
    width = max(len(kill.mutant) for kill in kills)
    for kill in kills:
        print(f"{kill.mutant:{width}}  {_how(kill)}")  # noqa: T201
    print(f"{len(kills)} mutants, {sum(kill.verdict is not None for kill in kills)} killed")  # noqa: T201
    return 0 if all(kill.verdict is not None for kill in kills) else 1


def _how(kill: Kill) -> str:
    if kill.verdict is None:
        return f"SURVIVED {kill.seeds} seeds"
    return f"{kill.verdict} (seed {kill.seeds - 1})"


def _shown(parts: Iterator[T], count: int, what: str) -> Iterator[T]:
    """A bar on a terminal, a line every few seconds elsewhere; both on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(parts, what, total=count, console=console)
        return
    told_at_s = time.monotonic()
    for number, part in enumerate(parts, start=1):
        if time.monotonic() - told_at_s > _LINE_EVERY_S:
            told_at_s = time.monotonic()
            print(f"{what}: {number} of {count}", file=sys.stderr, flush=True)  # noqa: T201
        yield part


if __name__ == "__main__":
    sys.exit(main())
