"""A deliberate breakage of the engine: what it breaks, what it takes to show, and what the checker must call it.

A mutant changes what the code does and raises nothing of its own: it is caught by what it leaves in the logs, while the
engine as it is passes the same run. Where the engine has a second guard behind the one that is broken, that is broken
too, and the mutant says so: else it would show that the second one works.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Flag, auto

import pytest

from penstock.testing.history import Kind


class Needs(Flag):
    """What has to happen for it to show.

    * `ABORT`: a transaction is discarded after some of its records were handed over.
    * `DOUBT`: a commit is not answered, and has happened.
    * `LOST_COMMIT`: a commit is not answered, and has not happened.
    * `CRASH`: the process dies with a transaction open.
    * `TAKEOVER`: a task goes to another worker, or comes back to one that was restarted.
    * `ZOMBIE`: a worker stands still past its session time-out, and goes on.
    * `LATE_REQUEST`: a request is sent twice, and its copy comes in the next transaction.
    * `BAD_RECORDS`: some records fail.
    * `STATE`: the pipeline keeps state.
    """

    NOTHING = 0
    ABORT = auto()
    DOUBT = auto()
    LOST_COMMIT = auto()
    CRASH = auto()
    TAKEOVER = auto()
    ZOMBIE = auto()
    LATE_REQUEST = auto()
    BAD_RECORDS = auto()
    STATE = auto()


@dataclass(frozen=True)
class Mutant:
    """One breakage.

    Attributes:
        name: for tables.
        breaks: what the engine does then, in one sentence.
        needs: circumstances.
        verdicts: one of these must be found.
        patch: makes it so.
    """

    name: str
    breaks: str
    needs: Needs
    verdicts: frozenset[Kind]
    patch: Callable[[pytest.MonkeyPatch], None]

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def planted(self) -> Generator[None]:
        """The engine is broken inside the block, and whole behind it."""
        with pytest.MonkeyPatch.context() as patches:
            self.patch(patches)
            yield


CATALOGUE: list[Mutant] = []
"""All of them, in the order of their modules; filled by `mutant` where they are written."""


def mutant(
    name: str, breaks: str, needs: Needs, *verdicts: Kind
) -> Callable[[Callable[[pytest.MonkeyPatch], None]], Callable[[pytest.MonkeyPatch], None]]:
    """Put what this decorates into the catalogue."""

    def add(patch: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
        CATALOGUE.append(Mutant(name, breaks, needs, frozenset(verdicts), patch))
        return patch

    return add
