"""All mutants: importing the modules that write them fills the list."""

from __future__ import annotations

from tests.mutants import committing, discarding, owning, processing, restoring, tearing
from tests.mutants.mutant import CATALOGUE, Mutant

MODULES = (committing, tearing, discarding, owning, restoring, processing)

ABSENT = {
    "timer fired twice": "there are no timers yet",
    "random transactional id": "it leaves nothing wrong behind, only transactions that stay open until their time-out: "
    "what its successor may not overtake is waited for, and whoever was overtaken is refused for its generation",
    "end of the changelog before the group's offsets": "whoever stands still between the two is no member any more "
    "when it goes on, so that its claim is refused",
}
"""{breakage that has no mutant: why}: there is nothing yet that it could break, or what it breaks nobody reads."""


def mutants() -> list[Mutant]:
    """All of them, sorted as the modules above are."""
    places = {module.__name__: place for place, module in enumerate(MODULES)}
    return sorted(CATALOGUE, key=lambda mutant: places[mutant.patch.__module__])
