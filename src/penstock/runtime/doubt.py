"""A commit of which nobody knows whether it happened: the log is asked until it answers."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.clock import Clock
from penstock.errors import Retriable, ServerUnreachable
from penstock.runtime.commit import Committer
from penstock.runtime.task import Task

BUDGET_S = 120.0
RETRY_PAUSE_S = 0.2
_ASK_TIMEOUT_S = 5.0


def was_committed(tasks: Sequence[Task], committer: Committer, clock: Clock) -> bool:
    """Whether the transaction with these tasks' work is in the log; to be called after `session.open()`.

    Raises:
        TornTransaction: it is neither there whole nor absent.
        ServerUnreachable: no answer within the budget.
    """
    give_up_at_s = clock.monotonic_s() + BUDGET_S
    while tasks:
        try:
            return committer.settle(tasks, timeout_s=_ASK_TIMEOUT_S)
        except Retriable as silent:
            if clock.monotonic_s() > give_up_at_s:
                raise ServerUnreachable(
                    f"whether the last transaction was committed is not answered for {BUDGET_S:.0f} s ({silent}); "
                    "nothing is lost: start again when Kafka answers"
                ) from silent
            clock.sleep(RETRY_PAUSE_S)
    return False
