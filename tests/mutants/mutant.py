"""A deliberate breakage of the engine: what it breaks, and what the history checker must call it.

A mutant changes what the code does and raises nothing of its own: it is caught by what it leaves in the logs, while the
engine as it is passes the same run. Where the engine, or the broker, has a second guard behind the one that is broken,
that is broken too, and the mutant says so: else it would show that the second one works.

Some guards stand against what a sound cluster never does. Their mutants come with a `mishap`, which happens to the
engine as it is as well: that has to stand it, or to stop in front of it, and to leave nothing wrong in the logs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from penstock.testing.history import Kind

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """One breakage.

    Attributes:
        name: for tables.
        breaks: what the engine does then, in one sentence.
        verdicts: names of findings, one of which must be found.
        patch: makes it so.
        mishap: what the engine as it is has to stand beside it; None = nothing.
        is_for_brokers: whether it is played on a real broker too.
    """

    name: str
    breaks: str
    verdicts: frozenset[str]
    patch: Patch
    mishap: Patch | None = None
    is_for_brokers: bool = False

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def planted(self) -> Generator[None]:
        """The engine is broken inside the block, and whole behind it."""
        with pytest.MonkeyPatch.context() as patches:
            if self.mishap is not None:
                self.mishap(patches)
            self.patch(patches)
            yield

    @contextmanager
    def spared(self) -> Generator[None]:
        """The engine is whole inside the block, and meets the same mishap."""
        with pytest.MonkeyPatch.context() as patches:
            if self.mishap is not None:
                self.mishap(patches)
            yield


CATALOGUE: list[Mutant] = []
"""All of them, in the order of their modules; filled by `mutant` where they are written."""


def mutant(
    name: str, breaks: str, *verdicts: Kind | str, mishap: Patch | None = None, on_brokers: bool = False
) -> Callable[[Patch], Patch]:
    """Put what this decorates into the catalogue."""

    def add(patch: Patch) -> Patch:
        names = frozenset(each.value if isinstance(each, Kind) else each for each in verdicts)
        CATALOGUE.append(Mutant(name, breaks, names, patch, mishap, on_brokers))
        return patch

    return add
