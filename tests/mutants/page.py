"""The page of the documentation that says what caught which mutant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutants.catalogue import ABSENT, mutants
from tests.mutants.hunt import Kill

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "mutants.md"

_PAGE: Final = """\
<!-- Written by `make mutants ARGS=--write`. -->
# Mutants

The engine, broken on purpose in one way each. `make mutants` plays the seeds of `make simulate` with each of them, from
0 on, until the [history checker](history-checker.md) says of the logs what it has to, while the engine as it is passes
the same seed. An exception does not count, nor that the engine stops.
[More about it](../explanation/simulation.md#broken-on-purpose).

| mutant | what it does | caught by | seeds needed |
|---|---|---|---|
{rows}

{count} mutants, {count} killed.

Not among them:

{absent}
"""


def page(kills: Sequence[Kill]) -> str:
    """The page, where all were caught."""
    breaks = {mutant.name: mutant.breaks for mutant in mutants()}
    rows = [f"| {kill.mutant} | {breaks[kill.mutant]} | {kill.verdict} | {kill.seeds} |" for kill in kills]
    absent = "\n".join(f"- {name}: {why}" for name, why in ABSENT.items())
    return _PAGE.format(rows="\n".join(rows), count=len(kills), absent=absent)


def listed(text: str) -> dict[str, str]:
    """{mutant: what it does} of a page."""
    rows: list[tuple[str, str]] = re.findall(r"^\| (.+?) \| (.+?) \| .+? \| \d+ \|$", text, re.MULTILINE)
    return dict(rows)
