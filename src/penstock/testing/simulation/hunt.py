"""Looking for the seed that shows what is wrong with a mutant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.testing.simulation.mutants import MUTANTS
from penstock.testing.simulation.scenario import scenario_of
from penstock.testing.simulation.verdict import IS_OF_THE_ENGINE
from penstock.testing.simulation.world import play

_MORE_SEEDS: Final = 40


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a mutant.

    Attributes:
        mutant: its name.
        verdict: by which it was found; None = it was not.
        seeds: how many were played.
    """

    mutant: str
    verdict: str | None
    seeds: int


def hunted(place: int, most_seeds: int) -> Kill:
    """Play seeds from 0 on until one shows something wrong in the logs that the unchanged engine does not leave there.

    If only the workers show it, because the engine's own comparison at a restore stops them or because nothing goes on,
    that counts once some more seeds have shown nothing else. An exception of the mutant's own does not count.
    """
    mutant = MUTANTS[place]
    of_the_engine: tuple[str, int] | None = None
    for seed in range(most_seeds):
        scenario = scenario_of(seed)
        with mutant.applied():
            found = [verdict.name for verdict in play(scenario).verdicts]
        in_the_logs = [name for name in found if name not in IS_OF_THE_ENGINE]
        if in_the_logs and not play(scenario).verdicts:
            return Kill(mutant.name, in_the_logs[0], seed + 1)
        others = [name for name in found if name in IS_OF_THE_ENGINE and name != "broken"]
        if of_the_engine is None and others and not play(scenario).verdicts:
            of_the_engine = (others[0], seed + 1)
        if of_the_engine is not None and seed - of_the_engine[1] > _MORE_SEEDS:
            break
    return Kill(mutant.name, None, most_seeds) if of_the_engine is None else Kill(mutant.name, *of_the_engine)
