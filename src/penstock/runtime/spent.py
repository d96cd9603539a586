"""Where the time of a batch goes: decoding, state, encoding. What is left of it is the operators' own.

The clock is read a few times for each batch and never for a record, so this is always on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

Part = Literal["decode", "state", "encode"]


class Spent:
    """Seconds by part, since `begin`.

    Args:
        now_s: a clock that never goes back.

    Attributes:
        now_s: likewise.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self._seconds: dict[Part, float] = {}

    def begin(self) -> None:
        """A batch begins: what was spent before is forgotten, also on one that came to nothing."""
        self._seconds = {}

    def add(self, part: Part, since_s: float) -> None:
        """It went there since then."""
        self._seconds[part] = self._seconds.get(part, 0.0) + self.now_s() - since_s

    @property
    def seconds(self) -> Mapping[Part, float]:
        """By part; those that the batch had nothing to do with are left out."""
        return self._seconds
