"""All mutants: importing the modules that write them fills the list."""

from __future__ import annotations

from tests.mutants import committing, discarding, owning, processing, restoring, tearing
from tests.mutants.mutant import CATALOGUE, Mutant

MODULES = (committing, tearing, discarding, owning, restoring, processing)

ABSENT = {
    "timer fired twice": "there are no timers yet",
}
"""{breakage that has no mutant: why}: there is nothing yet that it could break."""


def mutants() -> list[Mutant]:
    """All of them, sorted as the modules above are."""
    places = {module.__name__: place for place, module in enumerate(MODULES)}
    return sorted(CATALOGUE, key=lambda mutant: places[mutant.patch.__module__])
