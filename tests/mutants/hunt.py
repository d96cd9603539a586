"""Looking for the seed whose run shows what is wrong with a mutant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.testing.simulation.scenario import Scenario, scenario_of
from penstock.testing.simulation.world import Played, play
from tests.mutants.catalogue import mutants
from tests.mutants.mutant import Mutant

_EXCUSED: Final = frozenset({"stopped", "left behind"})
"""What the engine as it is may come to where a mishap stands beside the mutant: it stops in front of it."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a mutant.

    Attributes:
        mutant: its name.
        verdict: by which it was caught; None = it was not.
        seeds: how many were played.
        others: names of what was found otherwise, for those who want to know why it survives.
    """

    mutant: str
    verdict: str | None
    seeds: int
    others: frozenset[str] = frozenset()


def hunted(name: str, most_seeds: int) -> Kill:
    """Play seeds from 0 on until one shows in the logs what the mutant is to be called, and the sound engine passes it.

    An exception of the mutant's own does not count, nor does it that the engine stops, or stands still.
    """
    mutant = next(each for each in mutants() if each.name == name)
    others: set[str] = set()
    for seed in range(most_seeds):
        scenario = scenario_of(seed)
        found = [finding.name for finding in _broken(mutant, scenario).findings]
        caught = next((each for each in found if each in mutant.verdicts), None)
        if caught is not None and is_passed(mutant, scenario):
            return Kill(name, caught, seed + 1)
        others.update(found)
    return Kill(name, None, most_seeds, frozenset(others))


def _broken(mutant: Mutant, scenario: Scenario) -> Played:
    with mutant.planted():
        return play(scenario)


def is_passed(mutant: Mutant, scenario: Scenario) -> bool:
    """Whether the engine as it is leaves nothing wrong in the same run."""
    with mutant.spared():
        found = {finding.name for finding in play(scenario).findings}
    return not found - (_EXCUSED if mutant.mishap is not None else frozenset())
