"""`reduce`: the values of a key folded into one of the same type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.operators.folding import Folding
from penstock.topology.node import function_slug


@dataclass(frozen=True, slots=True, eq=False)
class Reduce(Folding):
    """`function(value so far, the record's value)`, beginning with a key's first value as it is."""

    kind = "reduce"

    function: Callable[[Any, Any], Any]

    @property
    def suggested_name(self) -> str:
        """After the function."""
        return function_slug("reduce", self.function)

    def functions(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
        """As given."""
        return (lambda value: value), self.function
