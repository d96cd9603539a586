"""What a simulated broker answers when it does not do what it was asked to."""

from __future__ import annotations

from typing import Final

RETRIED_BY_THE_CLIENT: Final = frozenset({"CONCURRENT_TRANSACTIONS", "COORDINATOR_NOT_AVAILABLE"})
"""The client asks again by itself, until its call's time is over."""

FENCED: Final = frozenset({"PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"})


class Refusal(Exception):
    """A broker's error code, by Kafka's name."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotAnswered(Exception):
    """A request, or the answer to it, is under way for longer than the call may take."""
