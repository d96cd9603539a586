"""Questions to a cluster: each is counted by how it ended, and none stays open for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from penstock.errors import PenstockError
from penstock.runtime.hang_timer import HangTimer

T = TypeVar("T")


class Asking:
    """For one thread.

    Args:
        timer: runs while a question is open, and ends the process if no answer comes back at all.

    Attributes:
        requests: {(what was asked, `ok` or `failed`): how often}.
    """

    def __init__(self, timer: HangTimer) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self._timer = timer

    def __call__(self, api: str, ask: Callable[[], T]) -> T:
        """Ask; raises what the question raises."""
        self.requests[api, "failed"] += 0  # there from the start, so that the first failure is seen as a step
        self._timer.start()
        try:
            found = ask()
        except PenstockError:
            self.requests[api, "failed"] += 1
            raise
        finally:
            self._timer.stop()
        self.requests[api, "ok"] += 1
        return found
