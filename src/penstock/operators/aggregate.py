"""`aggregate`: a value per key, begun anew by a function and changed by each record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.folding import Folding
from penstock.topology.node import function_slug


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Folding):
    """`add(value so far, the record's value)`, beginning with `initial()`."""

    kind = "aggregate"

    initial: Callable[[], Any]
    add: Callable[[Any, Any], Any]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug("aggregate", self.add)

    def functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        """As given."""
        initial, add = self.initial, self.add
        return (lambda value: add(initial(), value)), add
