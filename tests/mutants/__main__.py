"""`python -m tests.mutants`: break the engine in every way of the catalogue, and see whether it shows."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from penstock.testing.simulation.spread import spread
from tests.mutants.catalogue import mutants
from tests.mutants.hunt import Kill, hunted
from tests.mutants.page import PAGE, page


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all were caught."""
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="at most, of each")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}, where all were caught")
    options = parser.parse_args(arguments)
    names = [mutant.name for mutant in mutants() if options.only in mutant.name]
    hunt = partial(hunted, most_seeds=options.seeds)
    kills = list(spread(hunt, names, jobs=options.jobs, what=f"{len(names)} mutants"))
    width = max((len(name) for name in names), default=0)
    for kill in kills:
        print(f"{kill.mutant:{width}}  {_told(kill)}")  # noqa: T201
    killed = sum(kill.verdict is not None for kill in kills)
    if options.write and killed == len(kills) == len(mutants()):
        PAGE.write_text(page(kills), encoding="utf-8")
    print(f"{len(kills)} mutants, {killed} killed")  # noqa: T201
    return 0 if killed == len(kills) else 1


def _told(kill: Kill) -> str:
    if kill.verdict is not None:
        return f"{kill.verdict} (seed {kill.seeds - 1})"
    others = ", ".join(sorted(kill.others)) or "nothing"
    return f"SURVIVED {kill.seeds} seeds, which showed {others}"


if __name__ == "__main__":
    sys.exit(main())
