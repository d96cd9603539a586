"""`count`: how many records there were for each key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.folding import Folding


@dataclass(frozen=True, slots=True, eq=False)
class Count(Folding):
    """Counts every record, those with a null value too."""

    kind = "count"

    def functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        """One, and one more."""
        return (lambda _: 1), (lambda before, _: before + 1)
