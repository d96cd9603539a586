"""An engine that is broken on purpose: methods are patched, in this process, for as long as a scenario is played."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Patch = tuple[type, str, Any]
"""Class, attribute, what it becomes."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage.

    Attributes:
        name: what is wrong with it.
        make: the patches, made anew for every scenario: (class, attribute, what it becomes).
    """

    name: str
    make: Callable[[], Sequence[Patch]]

    @contextmanager
    def applied(self) -> Generator[None]:
        """The engine is broken inside of this block."""
        patches = self.make()
        before = [vars(owner)[name] for owner, name, _ in patches]
        for owner, name, replacement in patches:
            setattr(owner, name, replacement)
        try:
            yield
        finally:
            for (owner, name, _), original in zip(patches, before, strict=True):
                setattr(owner, name, original)
