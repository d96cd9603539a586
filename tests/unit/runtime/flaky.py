"""A function that fails for a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Flaky:
    """Fails for chosen values so many times each; counts the calls."""

    def __init__(self, failures: dict[int, int], error: Callable[[], Exception] = ValueError) -> None:
        self.left = dict(failures)
        self.error = error
        self.calls: Counter[int] = Counter()

    def __call__(self, text: str) -> str:
        number = int(text)
        self.calls[number] += 1
        if self.left.get(number, 0) > 0:
            self.left[number] -= 1
            raise self.error()
        return text
