"""Several hooks of transactions as one."""

from __future__ import annotations

from penstock.errors import Retriable
from penstock.protocols import TransactionHooks


class TransactionHookChain(TransactionHooks):
    """Tells each of them, in their order.

    Args:
        hooks: whom.
    """

    def __init__(self, *hooks: TransactionHooks) -> None:
        self._all = hooks

    def on_step(self, step: str) -> None:
        """Pass on."""
        for each in self._all:
            each.on_step(step)

    def on_start(self, rows: int) -> None:
        """Pass on."""
        for each in self._all:
            each.on_start(rows)

    def on_reject(self, stage: str, error: BaseException) -> None:
        """Pass on."""
        for each in self._all:
            each.on_reject(stage, error)

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Pass on."""
        for each in self._all:
            each.on_commit(records, dead_letters)

    def on_abort(self, error: Exception) -> None:
        """Pass on."""
        for each in self._all:
            each.on_abort(error)

    def on_rotation(self, reason: str) -> None:
        """Pass on."""
        for each in self._all:
            each.on_rotation(reason)

    def on_retry(self, call: str, error: Retriable) -> None:
        """Pass on."""
        for each in self._all:
            each.on_retry(call, error)
