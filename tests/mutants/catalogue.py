"""All mutants: importing the modules that write them fills the list."""

from __future__ import annotations

from tests.mutants import committing, owning, processing, restoring
from tests.mutants.mutant import CATALOGUE, Mutant

MODULES = (committing, owning, restoring, processing)


def mutants() -> list[Mutant]:
    """All of them."""
    return list(CATALOGUE)
