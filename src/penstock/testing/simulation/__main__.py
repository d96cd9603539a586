"""`python -m penstock.testing.simulation`: many seeds."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from penstock.testing.simulation.report import Tally, page, told
from penstock.testing.simulation.scenario import Scenario, scenario_of
from penstock.testing.simulation.shrink import as_test, shrunk
from penstock.testing.simulation.spread import spread
from penstock.testing.simulation.world import play

_CHUNK: Final = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="penstock.testing.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page for the table, if nothing failed")
    options = parser.parse_args(arguments)
    tally = _played(options.first, options.seeds, options.jobs)
    print("\n".join(tally.lines()))  # noqa: T201
    for seed, findings in sorted(tally.failed.items()):
        print("\n".join([f"\nseed {seed}:", *told(findings)]))  # noqa: T201
    if tally.failed:
        print(_smallest(min(tally.failed), tally))  # noqa: T201
    elif options.write is not None:
        options.write.write_text(page(tally, options.first), encoding="utf-8")
    print(f"{tally.seeds:,} seeds, {len(tally.failed):,} failed")  # noqa: T201
    return 1 if tally.failed else 0


def tally_of(seeds: Iterable[int]) -> Tally:
    """Play these."""
    tally = Tally()
    for seed in seeds:
        scenario = scenario_of(seed)
        tally.add(Tally.of(scenario, play(scenario)))
    return tally


def _played(first: int, count: int, jobs: int) -> Tally:
    chunks = [range(at, min(at + _CHUNK, first + count)) for at in range(first, first + count, _CHUNK)]
    tally = Tally()
    for part in spread(tally_of, chunks, jobs=jobs, what=f"{count:,} seeds"):
        tally.add(part)
    return tally


def _smallest(seed: int, tally: Tally) -> str:
    name = tally.failed[seed][0].name

    def fails(scenario: Scenario) -> bool:
        return any(finding.name == name for finding in play(scenario).findings)

    return f"\nseed {seed}, shrunk:\n\n{as_test(shrunk(scenario_of(seed), fails))}"


if __name__ == "__main__":
    sys.exit(main())
