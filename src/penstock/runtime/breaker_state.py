"""What a task's circuit breaker does; see `breaker.py` for how it comes to that."""

from __future__ import annotations

from enum import Enum


class BreakerState(Enum):
    """Closed is the good one: everything flows."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"
