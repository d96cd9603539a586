"""One redrive, drop or reopening, exactly once: what is written, the ledger and the account stand in one transaction.

1. `init`         a new handle; the coordinator ends what a predecessor left open and fences it
2. `read ledger`  only now is what is committed there the last word
3. `scan`         the letters, from the first that is not settled; those that the ledger has are passed over
4. `begin`, `produce` ..., `ledger`, `flush`, `commit`, `committed`, over and over
5. any error that leaves a transaction open, or its outcome unknown, goes back to 1: the ledger says what happened

A process that dies anywhere leaves nothing half done, and whatever command comes next passes over what the ledger has.
The same command again does not even read it: it begins where the account of the dead one ends.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from penstock.clock import Clock
from penstock.deadletter.dead_letter import DeadLetter
from penstock.errors import (
    DuplicateIdentity,
    Fenced,
    OperatorMustDecide,
    OutcomeUnknown,
    PenstockError,
    Retriable,
    TransactionAborted,
)
from penstock.protocols import TransactionHooks
from penstock.redrive.ledger import FATE_OF, Fate, Ledger, Run, resumed_at, run_record
from penstock.redrive.original import Hold, Outgoing, Route
from penstock.redrive.selection import Readable, Selection
from penstock.redrive.staged import RedriveLimits, Staged
from penstock.transactions.patience import Patience
from penstock.transactions.rate import fitting, hold
from penstock.transactions.session import TransactionSession

LOGGER = logging.getLogger("penstock.redrive")

_LAST_WORDS_S: Final = 5.0
_LEDGER_PARTITION: Final = 0

Letters = Callable[[Mapping[int, int]], Iterator[list[DeadLetter]]]
"""The dead letters from {partition: offset} on; see `DeadLetters.read`."""


class RedriveRun:
    """One run. `run` returns at the end of the letters, at the limit, or when `stop` was called.

    Args:
        account: the run as it begins.
        selection: which letters.
        readable: what bytes say, for conditions on keys and values.
        route: how letters become records; None where nothing is written but the ledger.
        letters: of the topic.
        read_ledger: as it is committed; asked after each `init`.
        ledger_topic: where it stands.
        session: its transactions.
        limits: see there.
        clock: time.
        hooks: told what happens.
    """

    def __init__(
        self,
        account: Run,
        *,
        selection: Selection,
        readable: Readable,
        route: Route | None,
        letters: Letters,
        read_ledger: Callable[[], Ledger],
        ledger_topic: str,
        session: TransactionSession,
        limits: RedriveLimits,
        clock: Clock,
        hooks: TransactionHooks,
    ) -> None:
        self._account = account
        self._selection = selection
        self._readable = readable
        self._route = route
        self._letters = letters
        self._read_ledger = read_ledger
        self._ledger_topic = ledger_topic
        self._session = session
        self._limits = limits
        self._clock = clock
        self._hooks = hooks
        self._fate: Fate = FATE_OF[account.action]
        self._ledger = Ledger(account.topic, "")
        self._staged = Staged()
        self._settled: dict[int, int] | None = None
        self._first_held: dict[int, int] = {}
        self._careful: set[tuple[int, int]] = set()
        self._refused: set[tuple[int, int]] = set()
        self._unwritten: Counter[str] = Counter()
        self._most = limits.max_transaction_records
        self._rate: float | None = None
        self._limit: int | None = None
        self._patience = Patience(f"dead letters of '{account.topic}'", "letter", limits.patience_s, clock)
        self._is_fenced = self._stopping = False

    def stop(self) -> None:
        """Commit what is staged, then return from `run`. May be called from a signal handler."""
        self._stopping = True

    def run(self, *, limit: int | None = None, rate: float | None = None) -> Run:
        """Deal with the letters that are selected.

        Args:
            limit: letters at most.
            rate: letters per second at most.

        Returns:
            The account, as the ledger has it; one that did nothing is written nowhere.

        Raises:
            DuplicateIdentity: another process works on the same topic.
            OperatorMustDecide: the edit function failed, or the ledger is not ours to read.
            ConfigurationError: a topic is missing, or not ours to write.
            ServerUnreachable: nothing but trouble for `patience_s`.
        """
        self._limit, self._rate = limit, rate
        self._most = fitting(self._limits.max_transaction_records, rate, self._limits.commit_interval_s)
        try:
            while not self._attempt():
                pass
        except (Exception, KeyboardInterrupt):
            self._let_readers_go()
            raise
        self._session.close()
        return self._account

    # ------------------------------------------------------------ an attempt

    def _attempt(self) -> bool:
        """From `init` to the end, or to trouble that can be tried again; whether it came to the end."""
        try:
            self._open()
            self._scan()
        except DuplicateIdentity:
            raise
        except Fenced as exc:
            # Ours or the coordinator's doing: going on would fence the one who fenced us, for ever.
            self._is_fenced = True
            raise DuplicateIdentity(
                f"another process works on the dead letters of '{self._account.topic}', or this one stood still past "
                "its transaction's time-out. Nothing is lost and nothing doubled: when the other has ended, run the "
                "same command again"
            ) from exc
        except (TransactionAborted, OutcomeUnknown, Retriable) as exc:
            self._note_trouble(exc)
            return False
        return True

    def _open(self) -> None:
        """Steps 1 and 2: what the log says becomes ours."""
        self._session.open()
        self._hooks.on_step("read ledger")
        self._ledger = self._read_ledger()
        if self._settled is None:
            self._settled = resumed_at(self._account, self._ledger.runs.values())
        before, self._account = self._account, self._ledger.runs.get(self._account.id, self._account)
        if self._account.transactions < before.transactions or (before.transactions and not self._ledger.runs):
            raise OperatorMustDecide(
                f"transaction {before.transactions} of this run was committed, but {self._ledger_topic} does not have "
                "it: the cluster has lost acknowledged records, or the topic was made anew. Find out which before you "
                "redrive: what the ledger does not have is redriven again"
            )
        if self._account.transactions > before.transactions:  # a commit of ours with an unknown outcome did happen
            self._unwritten.clear()
            self._staged.held.clear()
            self._careful.difference_update(self._staged.places)
            self._settle()
            self._hooks.on_commit(self._account.letters - before.letters, 0)
        self._staged = Staged()

    def _scan(self) -> None:
        self._hooks.on_start(self._account.letters)
        self._hooks.on_step("scan")
        scan = self._letters(self._settled or {})
        try:
            for letters in scan:
                for letter in letters:
                    if self._stopping or self._is_enough():
                        break
                    self._take(letter)
                    self._staged.seen[letter.partition] = letter.offset + 1
                if self._session.is_open:
                    self._commit_if_due()
                else:
                    self._settle()
                if self._stopping or self._is_enough():
                    break
        finally:
            close = getattr(scan, "close", None)
            if callable(close):
                close()
        self._finish()

    def _is_enough(self) -> bool:
        return self._limit is not None and self._account.letters + len(self._staged.places) >= self._limit

    def _take(self, letter: DeadLetter) -> None:
        """Stage what becomes of one letter, if it is meant and not dealt with."""
        if self._session.is_open:
            self._commit_if_due()  # here, and not only behind a batch: an edit function may take its time
        place = (letter.partition, letter.offset)
        is_open = self._ledger.fate(*place) == "open"
        if is_open == (self._fate == "open") or not self._selection.holds(letter, self._readable):
            return
        found: Outgoing | Hold | None = None
        if self._route is not None:
            found = "refused" if place in self._refused else self._route.outgoing(letter, self._clock.now_ms())
        if isinstance(found, str):
            self._staged.held[found] += 1
            # One that was refused is held back when it comes round again: behind others that were from the start.
            self._first_held[place[0]] = min(place[1], self._first_held.get(*place))
            return
        is_alone = place in self._careful
        if self._session.is_open and is_alone:
            self._commit()
        if not self._session.is_open:
            if self._has_rotated():
                self._take(letter)  # the ledger was read anew: judge by that
                return
            self._session.begin()
        self._ledger.mark(*place, self._fate)
        self._staged.places.append(place)
        if found is not None:
            self._produce(found)
        if is_alone:
            self._staged.seen[letter.partition] = letter.offset + 1
            self._commit()

    def _produce(self, record: Outgoing) -> None:
        self._hooks.on_step("produce")
        self._session.producer.produce(
            record.topic,
            [record.key],
            [record.value],
            partitions=[record.partition],
            headers=[record.headers],
            timestamps_ms=[record.timestamp_ms],
        )
        self._staged.targets[record.topic] += 1
        self._staged.size_bytes += len(record.key or b"") + len(record.value or b"")

    # ------------------------------------------------------------ transactions

    def _is_full(self) -> bool:
        staged = self._staged
        return len(staged.places) >= self._most or staged.size_bytes >= self._limits.max_transaction_bytes

    def _commit_if_due(self) -> None:
        self._session.check_budget()
        if self._is_full() or self._session.age_s >= self._limits.commit_interval_s:
            self._commit()

    def _commit(self, *, is_end: bool = False) -> None:
        """Stage the ledger last and commit; only then is it so."""
        staged, began_s = self._staged, self._clock.monotonic_s() - self._session.age_s
        account = msgspec.structs.replace(
            self._account,
            transactions=self._account.transactions + 1,
            letters=self._account.letters + len(staged.places),
            targets=dict(Counter(self._account.targets) + staged.targets),
            held=dict(Counter(self._account.held) + self._unwritten + staged.held),
            next_offsets=self._next_offsets(),
            written_ms=self._clock.now_ms(),
            is_finished=is_end,
        )
        keys, values = self._ledger.staged()
        key, value = run_record(account)
        self._hooks.on_step("ledger")
        self._session.producer.produce(
            self._ledger_topic,
            [*keys, key],
            [*values, value],
            partitions=[_LEDGER_PARTITION] * (len(keys) + 1),
        )
        self._session.commit()
        self._account = account
        self._unwritten.clear()
        staged.held.clear()  # it is in the account now
        self._ledger.settle()
        self._careful.difference_update(staged.places)
        self._patience.renew()
        count = len(staged.places)
        self._settle()
        self._hooks.on_commit(count, 0)
        hold(count, began_s, self._rate, self._clock, lambda: self._stopping)

    def _settle(self) -> None:
        """No transaction is open: what was looked at need not be looked at again."""
        self._settled = {**(self._settled or {}), **self._staged.seen}
        self._unwritten += self._staged.held
        self._staged = Staged()

    def _next_offsets(self) -> dict[int, int]:
        """Where a run like this may begin once this transaction is committed: at what is held back, at the latest."""
        seen = {**(self._settled or {}), **self._staged.seen}
        return {partition: min(at, self._first_held.get(partition, at)) for partition, at in seen.items()}

    def _has_rotated(self) -> bool:
        """Replace a handle that may have sent a request twice; whether it was.

        The new one fences whoever has taken over meanwhile, so the ledger is read again before anything is written.
        """
        reason = self._session.doubt()
        if reason is None:
            return False
        LOGGER.info("dead letters of %s: replacing the producer: %s", self._account.topic, reason)
        self._hooks.on_rotation(reason)
        self._settle()
        self._open()
        return True

    def _finish(self) -> None:
        """Write the account's end. A run that did nothing leaves nothing behind."""
        if not self._session.is_open:
            self._settle()
            if not self._account.letters:
                self._account = msgspec.structs.replace(self._account, held=dict(self._unwritten), is_finished=True)
                return
            self._has_rotated()
            self._session.begin()
        self._commit(is_end=not self._stopping)

    # ------------------------------------------------------------ trouble

    def _note_trouble(self, exc: PenstockError) -> None:
        """Say it, learn from it, and give up when patience ends."""
        self._hooks.on_abort(exc)
        LOGGER.warning("dead letters of %s: %s; going on from what the ledger has", self._account.topic, exc)
        refused = self._session.refused()
        if refused and isinstance(exc, TransactionAborted):
            self._look_for_refused(exc)
        self._patience.bear(exc, pauses=not refused)

    def _look_for_refused(self, exc: TransactionAborted) -> None:
        """The broker does not say which record it refuses: those of this transaction go one by one, each alone."""
        places = self._staged.places
        refused = self._session.refused()[0]
        if refused.topic == self._ledger_topic or not places:
            raise OperatorMustDecide(
                f"topic '{refused.topic}' refuses a record of ours: {refused.reason}. Nothing is lost: mend that "
                "topic's settings, then run the same command again"
            ) from exc
        if len(places) > 1:
            self._careful.update(places)
            return
        partition, offset = places[0]
        LOGGER.warning(
            "%s[%d]@%d: %s refuses it: %s", self._account.topic, partition, offset, refused.topic, refused.reason
        )
        self._refused.add(places[0])
        self._careful.discard(places[0])

    def _let_readers_go(self) -> None:
        """End the transaction that an error leaves open: until its time-out it would hold back every reader behind it.

        Not when fenced: the successor has ended it, and initialising would fence that one.
        """
        if self._is_fenced or not self._session.is_open:
            return
        try:
            self._session.abandon(_LAST_WORDS_S)
        except Exception as exc:  # noqa: BLE001 - the error that ended the run is the one to tell
            LOGGER.warning("the last transaction stays open until its time-out: %s", exc)
