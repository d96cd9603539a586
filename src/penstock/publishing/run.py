"""A producer's life: claim the cursor, publish what lies behind it, and after any trouble begin again from the log.

One life, from `init` to the end or to an error, is a **tenure**:

1. `init`          a new handle; the coordinator ends what a predecessor left open and fences it
2. `read cursor`   only now is the last committed cursor the last
3. `claim`         a transaction with the cursor as it is and our name: shows later readers who owns the producer
4. `source`        opened behind the cursor; then, over and over:
5. `convert`, `begin`, `produce`, `cursor`, `flush`, `commit`, `committed`

Every error that leaves a transaction open or its outcome unknown ends the tenure, and the next begins with step 1: the
cursor that stands in the log then says what happened (exactly-once across kill -9, lost replies and time-outs alike).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from penstock.clock import Clock
from penstock.errors import (
    DuplicateIdentity,
    Fenced,
    OperatorMustDecide,
    OutcomeUnknown,
    Retriable,
    TransactionAborted,
)
from penstock.protocols import TransactionHooks
from penstock.publishing import cursor as cursors
from penstock.publishing.batch import DeadRow, KeyAndValue, Row, StagedBatch, Stager
from penstock.publishing.cursor import CursorRecord
from penstock.publishing.feed import Feed, PublishingLimits
from penstock.publishing.letter import letter_of
from penstock.publishing.spec import ProducerSpec
from penstock.publishing.user_code import asked
from penstock.transactions.patience import Patience
from penstock.transactions.rate import fitting, hold
from penstock.transactions.session import TransactionSession

K = TypeVar("K")
V = TypeVar("V")

LOGGER = logging.getLogger("penstock.publishing")

_IDLE_PAUSE_S = 0.01
_CLAIM_TIME_S = 2.0
_LAST_WORDS_S = 5.0


@dataclass(frozen=True, slots=True)
class Destination:
    """Names and bounds that a producer writes to."""

    topic: str
    cursor_topic: str
    cursor_partition: int
    dead_topic: str
    max_dead_bytes: int


class ProducerRun(Generic[K, V]):
    """One producer at work. `run` returns at the end of the source, at the limit, or when `stop` was called.

    Args:
        spec: the producer.
        stager: turns its rows into bytes.
        session: its transactions.
        read_cursor: the last committed cursor; asked after each `init`.
        destination: where things go.
        limits: see there.
        clock: time.
        hooks: told what happens.
        version: of penstock, for dead letters.
    """

    def __init__(
        self,
        spec: ProducerSpec[K, V],
        *,
        stager: Stager[K, V],
        session: TransactionSession,
        read_cursor: Callable[[], CursorRecord | None],
        destination: Destination,
        limits: PublishingLimits,
        clock: Clock,
        hooks: TransactionHooks,
        version: str,
    ) -> None:
        self._spec = spec
        self._stager = stager
        self._session = session
        self._read_cursor = read_cursor
        self._to = destination
        self._limits = limits
        self._clock = clock
        self._hooks = hooks
        self._version = version
        self._writer = uuid.uuid4().hex
        self._stopping = False
        self._last = CursorRecord()
        self._has_adopted = False
        self._start_over: tuple[Any] | None = None
        self._end_rows: int | None = None
        self._refused: dict[KeyAndValue, str] = {}
        self._patience = Patience(f"producer '{spec.name}'", "row", limits.patience_s, clock)
        self._is_fenced = False
        self._rate: float | None = None
        self._max_rows = limits.max_transaction_records

    def stop(self) -> None:
        """Commit what is staged, then return from `run`. May be called from a signal handler."""
        self._stopping = True

    def run(
        self, *, limit: int | None = None, rate: float | None = None, from_cursor: tuple[Any] | None = None
    ) -> CursorRecord:
        """Publish until the source ends.

        Args:
            limit: rows at most in this run.
            rate: rows per second at most.
            from_cursor: a one-tuple with the cursor to continue behind, instead of the committed one. What lies between
                is published again or left out: an operator's choice.

        Returns:
            The cursor as committed last.

        Raises:
            DuplicateIdentity: another live process runs this producer.
            OperatorMustDecide: the source changed, or code failed for a row or in the source.
            ServerUnreachable: nothing but trouble for `patience_s`.
        """
        self._rate, self._start_over, self._end_rows = rate, from_cursor, None
        self._max_rows = fitting(self._limits.max_transaction_records, rate, self._limits.commit_interval_s)
        try:
            self._tenures(limit)
        except (Exception, KeyboardInterrupt):
            self._let_readers_go()
            raise
        self._session.close()
        return self._last

    # ------------------------------------------------------------ a tenure

    def _tenures(self, limit: int | None) -> None:
        while True:
            try:
                self._tenure(limit)
            except DuplicateIdentity:
                self._is_fenced = True
                raise
            except (TransactionAborted, OutcomeUnknown, Retriable, Fenced) as exc:
                self._note_trouble(exc)
            else:
                return

    def _tenure(self, limit: int | None) -> None:
        self._give_way()
        self._session.open()
        self._hooks.on_step("read cursor")
        self._adopt(self._read_cursor())
        self._claim()
        if self._end_rows is None and limit is not None:
            self._end_rows = self._last.rows + limit
        self._hooks.on_start(self._last.rows)
        self._hooks.on_step("source")
        feed = Feed(
            self._source(),
            self._limits,
            self._clock,
            stopping=lambda: self._stopping,
            rate=self._rate,
            rows_left=None if self._end_rows is None else self._end_rows - self._last.rows,
            producer=self._spec.name,
            cursor=self._last.cursor,
        )
        try:
            while not self._stopping and not feed.ended:
                self._transaction(feed)
        finally:
            feed.close()

    def _source(self) -> Iterator[tuple[Any, Any] | None]:
        cursor = self._last.cursor
        return asked(lambda: iter(self._spec.source(cursor)), self._spec.name, f"its source, behind cursor {cursor!r}")

    def _adopt(self, found: CursorRecord | None) -> None:
        """Make what the log says our own, or refuse it."""
        found = found or CursorRecord()
        if self._has_adopted:
            self._check_succession(found)
        told = asked(self._spec.fingerprint or (lambda: ""), self._spec.name, "its fingerprint function")
        if found.sequence and found.fingerprint != told and self._start_over is None:
            raise OperatorMustDecide(
                f"the source of producer '{self._spec.name}' has changed since cursor {found.cursor!r} was committed "
                f"(fingerprint {found.fingerprint or 'none'}, now {told or 'none'}), so the cursor may point at "
                f"another row. Restore the source, or accept with: penstock produce {self._spec.name} --from CURSOR"
            )
        if self._has_adopted and found.rows > self._last.rows:  # a commit of ours with an unknown outcome did happen
            self._hooks.on_commit(found.records - self._last.records, found.dead_letters - self._last.dead_letters)
        cursor = found.cursor if self._start_over is None else self._start_over[0]
        self._last = msgspec.structs.replace(found, cursor=cursor, fingerprint=told)
        self._has_adopted = True

    def _check_succession(self, found: CursorRecord) -> None:
        """Between two looks at the log only our own transactions may have come; until our claim, none at all."""
        if found.sequence < self._last.sequence:
            raise OperatorMustDecide(
                f"producer '{self._spec.name}': transaction {self._last.sequence} was committed, but "
                f"{self._to.cursor_topic}[{self._to.cursor_partition}] ends with transaction {found.sequence}: "
                "the cluster has lost acknowledged records, or the topic was made anew. Compare "
                f"'{self._to.topic}' with the source, then continue with: penstock produce {self._spec.name} "
                "--from CURSOR"
            )
        if found.writer not in (self._writer, self._last.writer):
            raise DuplicateIdentity(
                f"producer '{self._spec.name}' was taken over by another live process (owner epoch "
                f"{found.owner_epoch}); this one stops. Run one instance only, or give one another name"
            )

    def _claim(self) -> None:
        """Commit the cursor as it is under our name: whoever is fenced later can see by whom."""
        self._hooks.on_step("claim")
        self._session.begin()
        self._commit(msgspec.structs.replace(self._last, owner_epoch=self._last.owner_epoch + 1))
        self._start_over = None

    def _rotate_if_in_doubt(self) -> None:
        """Replace a handle that may have sent a request twice; the source stays open, for the log agrees with us."""
        reason = self._session.doubt()
        if reason is None:
            return
        LOGGER.info("producer '%s': replacing its handle: %s", self._spec.name, reason)
        self._hooks.on_rotation(reason)
        expected = self._last
        self._session.open()
        self._adopt(self._read_cursor())
        if self._last.sequence != expected.sequence:
            raise OutcomeUnknown(
                f"producer '{self._spec.name}': the log is at transaction {self._last.sequence}, "
                f"{expected.sequence} was committed"
            )

    # ------------------------------------------------------------ a transaction

    def _transaction(self, feed: Feed) -> None:
        """Publish the next transaction's worth of rows.

        No transaction is open while the first rows are waited for, and one is committed as soon as the source is slower
        than the commit interval: a source that blocks must not hold readers back.
        """
        batch = feed.batch()
        if not batch:
            self._patience.renew()
            if not feed.ended:
                self._clock.sleep(_IDLE_PAUSE_S)
            return
        self._rotate_if_in_doubt()
        began_s = self._clock.monotonic_s()
        self._session.begin()
        record = self._extended(self._last, batch)
        while feed.is_fast(batch) and not self._stopping:
            if self._clock.monotonic_s() - began_s >= self._limits.commit_interval_s:
                break
            if record.rows - self._last.rows >= self._max_rows:
                break
            self._session.check_budget()
            batch = feed.batch()
            if batch:
                record = self._extended(record, batch)
        published = record.records - self._last.records
        dead = record.dead_letters - self._last.dead_letters
        self._commit(record)
        self._patience.renew()
        self._hooks.on_commit(published, dead)
        hold(published + dead, began_s, self._rate, self._clock, lambda: self._stopping)

    def _extended(self, record: CursorRecord, batch: list[Row]) -> CursorRecord:
        """Stage a batch; the cursor record that covers it too."""
        staged = self._stage(batch)
        return msgspec.structs.replace(
            record,
            cursor=batch[-1][0],
            records=record.records + len(staged.values),
            dead_letters=record.dead_letters + len(staged.dead),
        )

    def _stage(self, batch: list[Row]) -> StagedBatch:
        self._hooks.on_step("convert")
        staged = self._stager.stage(batch, self._refused)
        self._hooks.on_step("produce")
        self._session.producer.produce(
            self._to.topic,
            staged.keys,
            staged.values,
            partitions=staged.partitions,
            headers=staged.headers,
        )
        for dead in staged.dead:
            self._dead_letter(dead)
        return staged

    def _dead_letter(self, dead: DeadRow) -> None:
        value, headers = letter_of(
            dead,
            producer=self._spec.name,
            failed_ms=self._clock.now_ms(),
            version=self._version,
            max_bytes=self._to.max_dead_bytes,
        )
        self._session.producer.produce(self._to.dead_topic, [None], [value], headers=[headers])
        self._hooks.on_reject(dead.stage, dead.error)

    def _commit(self, record: CursorRecord) -> None:
        """Stage the cursor last and commit; only then is it ours."""
        record = msgspec.structs.replace(
            record, sequence=self._last.sequence + 1, writer=self._writer, written_ms=self._clock.now_ms()
        )
        self._hooks.on_step("cursor")
        self._session.producer.produce(
            self._to.cursor_topic,
            [self._spec.name.encode()],
            [cursors.encode(record)],
            partitions=[self._to.cursor_partition],
        )
        self._session.commit()
        self._last = record

    # ------------------------------------------------------------ trouble

    def _note_trouble(self, exc: Exception) -> None:
        """Say it, learn from it, and give up when patience ends."""
        self._hooks.on_abort(exc)
        LOGGER.warning("producer '%s': %s; continuing from the committed cursor", self._spec.name, exc)
        if isinstance(exc, TransactionAborted):
            self._remember_refused(exc)
        if isinstance(exc, Fenced):
            self._is_fenced = True
        self._patience.bear(exc)

    def _remember_refused(self, exc: TransactionAborted) -> None:
        """Records that the broker refuses for their own sake become dead letters when their rows come round again."""
        for failed in self._session.producer.refused():
            if failed.topic != self._to.topic:
                raise OperatorMustDecide(
                    f"producer '{self._spec.name}': {failed.topic} refuses a record ({failed.reason}); "
                    "mend that topic's settings, nothing is lost"
                ) from exc
            if not failed.is_certain:
                raise OperatorMustDecide(
                    f"producer '{self._spec.name}': {failed.topic} refuses a batch ({failed.reason}), and the broker "
                    "does not say which of its records. Nothing is lost: mend the topic's settings or the source, and "
                    "start again; what is too large for the topic's settings of now becomes a dead letter then"
                ) from exc
            self._refused[failed.key, failed.value] = failed.reason

    def _let_readers_go(self) -> None:
        """End the transaction that an error leaves open: until its time-out it would hold back every reader behind it.

        Not when fenced: the successor has ended it, and initialising would fence that one. One that takes over at this
        very moment is fenced once, finds its own claim in the log and goes on.
        """
        if self._is_fenced or not self._session.is_open:
            return
        try:
            self._session.abandon(_LAST_WORDS_S)
        except Exception as exc:  # noqa: BLE001 - the error that ended the run is the one to tell
            LOGGER.warning(
                "producer '%s': its last transaction stays open until its time-out: %s", self._spec.name, exc
            )

    def _give_way(self) -> None:
        """Fenced by a newer instance: stop. By the coordinator, for our own lateness: go on.

        Both look the same on the wire. A newer instance shows in the cursor topic as soon as it has claimed; it is
        given the time to, and the cursor is read without initialising, which would fence it in turn.
        """
        if self._is_fenced and self._has_adopted:
            self._clock.sleep(_CLAIM_TIME_S)
            self._adopt(self._read_cursor())
        self._is_fenced = False
