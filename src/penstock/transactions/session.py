"""The transactions of one identity, crash-only.

librdkafka speaks the transaction protocol without an epoch per transaction (KIP-890 part 2), so a request that was sent
twice can, delayed, decide a *later* transaction of the same producer. Two rules follow:

* **Abort = discard.** The handle is dropped and a new one with the same `transactional.id` initialised: the coordinator
  ends the old transaction and bumps the epoch, which refuses every stale request. Abort, time-out, doubt, restart and
  kill -9 all take this one path.
* **Doubt = rotate.** When anything in a transaction may have been sent twice, the handle is replaced *before the next
  begin*, although the commit succeeded.

```
          open()                 begin()              commit()
 (new) ───────────► idle ─────────────────► open ───────────────► idle, or in doubt: open() before the next begin
                     ▲                        │
                     └──────── open() ◄───────┘ any error
```
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.clock import Clock
from penstock.errors import OutcomeUnknown, Retriable, ServerUnreachable, TransactionAborted
from penstock.protocols import InputOffsets, RefusedRecord, TransactionalProducer, TransactionHooks

# Short, because of what a call that times out does: the next one asks the coordinator at once, where a long one would
# wait for a timer of 500 ms inside the client. With a transaction open: 143 ms instead of 575 (seen, medians of 12).
_INIT_SLICE_S = 0.05
_INIT_PAUSE_S = 0.02
_COMMIT_SLICE_S = 5.0
_RETRY_PAUSE_S = 0.1


class TransactionSession:
    """Transactions of one `transactional.id`, one after the other, on one thread.

    Args:
        connect: makes a new handle with the session's `transactional.id`.
        clock: monotonic time, for the budget.
        hooks: told each step.
        budget_s: how long a transaction may take from begin to the end of commit; below the coordinator's time-out.
        open_budget_s: how long to wait for a coordinator at `open`.
    """

    def __init__(
        self,
        connect: Callable[[], TransactionalProducer],
        *,
        clock: Clock,
        hooks: TransactionHooks,
        budget_s: float = 45.0,
        open_budget_s: float = 120.0,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._hooks = hooks
        self._budget_s = budget_s
        self._open_budget_s = open_budget_s
        self._producer: TransactionalProducer | None = None
        self._began_at: float | None = None
        self._number = 0

    @property
    def producer(self) -> TransactionalProducer:
        """The handle to stage records with."""
        if self._producer is None:
            raise RuntimeError("the session is not open; please report")
        return self._producer

    def doubt(self) -> str | None:
        """Why the handle must be replaced before the next `begin`; None when it need not be."""
        return self.producer.doubt()

    def refused(self) -> list[RefusedRecord]:
        """What the broker refused of the open transaction for its own sake; to be asked before the next `open`."""
        return [] if self._producer is None else self._producer.refused()

    @property
    def number(self) -> int:
        """Of the transaction that is open, or was the last one: 1 for the first of this session. For log lines."""
        return self._number

    @property
    def age_s(self) -> float:
        """Seconds since `begin`; 0 outside a transaction."""
        return 0.0 if self._began_at is None else self._clock.monotonic_s() - self._began_at

    def open(self, budget_s: float | None = None) -> None:
        """Drop the handle, if there is one, and initialise a new one; afterwards no earlier transaction is open.

        Args:
            budget_s: how long to wait for a coordinator; None = the session's.

        Raises:
            ServerUnreachable: no coordinator within the budget.
            ConfigurationError: rights, transaction time-out.
        """
        self.close()
        self._hooks.on_step("init")
        budget_s = self._open_budget_s if budget_s is None else budget_s
        deadline = self._clock.monotonic_s() + budget_s
        self._producer = self._connect()
        while True:
            try:
                self._producer.init_transactions(min(_INIT_SLICE_S, budget_s))
            except Retriable as exc:
                if self._clock.monotonic_s() > deadline:
                    raise ServerUnreachable(f"{exc}; gave up after {budget_s:.0f} s") from exc
                self._clock.sleep(_INIT_PAUSE_S)
            else:
                return

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open, as far as this process knows."""
        return self._began_at is not None

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            Fenced: a newer producer holds the id.
        """
        self._hooks.on_step("begin")
        self._number += 1
        self.producer.begin_transaction()
        self._began_at = self._clock.monotonic_s()

    def commit(self, offsets: Callable[[], InputOffsets] | None = None) -> None:
        """Make everything staged since `begin` visible, whole.

        Args:
            offsets: the input positions that belong to the transaction; called after the flush, so that the membership
                it reads is that of now. None where there is no input group.

        Raises:
            TransactionAborted: nothing became visible; `open` and do the work again.
            OutcomeUnknown: `open`, then ask the log.
            Fenced: a newer producer holds the id, or the transaction timed out; the outcome is to be asked for too.
        """
        producer = self.producer
        self._hooks.on_step("flush")
        # Explicitly, so that the time commit takes tells about its own request (the doubt rule depends on that).
        producer.flush(self._left_s())
        if offsets is not None:
            self._send_offsets(offsets())
        self._hooks.on_step("commit")
        while True:
            try:
                producer.commit_transaction(min(_COMMIT_SLICE_S, self._left_s()))
            except Retriable as exc:
                # The request may be decided already: only the same call may be repeated.
                if self.age_s > self._budget_s:
                    raise OutcomeUnknown(f"{exc}; not answered within {self._budget_s:.0f} s") from exc
                self._hooks.on_retry("commit", exc)
                self._clock.sleep(_RETRY_PAUSE_S)
            else:
                break
        self._began_at = None
        self._hooks.on_step("committed")

    def _send_offsets(self, offsets: InputOffsets) -> None:
        self._hooks.on_step("send offsets")
        while True:
            try:
                self.producer.send_offsets(offsets.positions, offsets.group, self._left_s())
            except Retriable as exc:
                if self.age_s > self._budget_s:
                    raise TransactionAborted(f"{exc}; not answered within {self._budget_s:.0f} s") from exc
                self._hooks.on_retry("offsets", exc)
                self._clock.sleep(_RETRY_PAUSE_S)
            else:
                return

    def close(self) -> None:
        """Drop the handle; an open transaction stays open until its successor initialises or it times out."""
        self._began_at = None
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def abandon(self, budget_s: float) -> None:
        """End the open transaction now, instead of at its time-out, and drop the handle.

        Raises:
            ServerUnreachable: no coordinator within the budget; the time-out will end it.
        """
        try:
            self.open(budget_s)
        finally:
            self.close()

    def check_budget(self) -> None:
        """Give up on a transaction that cannot end in time.

        Raises:
            TransactionAborted: the budget is used up.
        """
        if self.age_s > self._budget_s:
            raise TransactionAborted(f"the transaction is older than its budget of {self._budget_s:.0f} s")

    def _left_s(self) -> float:
        return max(1.0, self._budget_s - self.age_s)
