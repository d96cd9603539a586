"""The transaction in hand: opened with the first effect, filled batch by batch, due after the commit interval."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from penstock.batch import SourceBatch
from penstock.clock import Clock
from penstock.deadletter.envelope import Author, Failure
from penstock.deadletter.letter import Form, Original, letter_of
from penstock.deadletter.topic import DeadLetterTopic
from penstock.operators.repartition_records import EVENT_TIME, ORIGIN, ours_of
from penstock.runtime.hooks import BatchReport, WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.spent import Part
from penstock.runtime.staged import DeadRecord, Staged
from penstock.schemas.codec import schema_id_of
from penstock.transactions.session import TransactionSession

_IDLE_POLL_S = 0.1
_GATHER_S = 0.02
LOGGER = logging.getLogger("penstock.runtime")


class Staging:
    """Hands outputs and dead letters to the producer, and keeps count of them until the transaction ends.

    Args:
        author: of dead letters.
        session: holds the transaction.
        dead_letter_topic: where a source's dead letters go.
        limits: of a transaction.
        clock: time.
        hooks: told each step.
    """

    def __init__(
        self,
        author: Author,
        session: TransactionSession,
        *,
        dead_letter_topic: Callable[[str], DeadLetterTopic],
        limits: WorkerLimits,
        clock: Clock,
        hooks: WorkerHooks,
    ) -> None:
        self._author = author
        self._session = session
        self._dead_letter_topic = dead_letter_topic
        self._limits = limits
        self._clock = clock
        self._hooks = hooks
        self._records = 0
        self._bytes = 0
        self._dead_letters = 0
        self._due_at_s: float | None = None
        self._committed_at_s = clock.monotonic_s()

    @property
    def quiet_s(self) -> float:
        """Seconds since the last commit."""
        return self._clock.monotonic_s() - self._committed_at_s

    def begin(self) -> None:
        """Open a transaction, unless one is open; with a new handle if the last one left a doubt."""
        if self._session.is_open:
            return
        reason = self._session.doubt()
        if reason is not None:
            LOGGER.info("replacing the producer: %s", reason, extra={"txn": self._session.number})
            self._hooks.on_rotation(reason)
            self._session.open()
        self._session.begin()

    def add(self, batch: SourceBatch, staged: Staged, duration_s: float, spent_s: Mapping[Part, float]) -> None:
        """Stage what a batch came to, after so many seconds; one that left nothing behind has offsets to commit.

        Args:
            batch: the records that were dealt with, and no others.
            staged: what they came to.
            duration_s: how long that took.
            spent_s: where that time went, as far as it is known.
        """
        self._hooks.on_step("accept")
        self.note()
        sizes_bytes = {output.topic: output.size_bytes for output in staged.outputs}
        self._records += staged.records
        self._bytes += staged.state_bytes + sum(sizes_bytes.values())
        self._stage(batch, staged)
        self._hooks.on_batch(
            BatchReport(
                batch.topic,
                batch.partition,
                staged.records,
                staged.filtered,
                len(staged.dead),
                {output.topic: len(output.keys) for output in staged.outputs},
                duration_s,
                parked=staged.parked,
                output_bytes=sizes_bytes,
                late=staged.late,
                spent_s=spent_s,
                source=batch,
                event_times_ms=staged.event_times_ms,
            )
        )
        for failed in staged.put_off:
            place = batch.topic, batch.partition, batch.offsets[failed.place]
            self._hooks.on_park(*place, failed.stage, failed.error, batch.headers_at(failed.place))

    def _stage(self, batch: SourceBatch, staged: Staged) -> None:
        if not (staged.outputs or staged.dead):
            return
        self.begin()
        self._hooks.on_step("produce")
        for output in staged.outputs:
            output.hand_to(self._session.producer)
        for dead in staged.dead:
            self._dead_letter(batch, dead, staged.form)

    @property
    def records(self) -> int:
        """Input records that are dealt with in the transaction."""
        return self._records

    def note(self) -> None:
        """There is something to commit: no later than the commit interval from now on."""
        if self._due_at_s is None:
            self._due_at_s = self._clock.monotonic_s() + self._limits.commit_interval_s

    def patience_s(self) -> float:
        """How long a poll may wait for records.

        Behind the first of a transaction they are gathered for a moment: they are not visible before the commit
        interval ends, and large batches cost less.
        """
        if self._due_at_s is None:
            return _IDLE_POLL_S
        return min(_GATHER_S, max(0.0, self._due_at_s - self._clock.monotonic_s()))

    def is_due(self) -> bool:
        """Whether it is time to commit: by interval, records or bytes.

        Raises:
            TransactionAborted: the transaction is older than its budget.
        """
        if self._due_at_s is None:
            return False
        self._session.check_budget()
        is_full = (
            self._records >= self._limits.max_transaction_records or self._bytes >= self._limits.max_transaction_bytes
        )
        return is_full or self._clock.monotonic_s() >= self._due_at_s

    def committed(self) -> None:
        """What was staged is visible."""
        records, dead = self._records, self._dead_letters
        self.reset()
        self._committed_at_s = self._clock.monotonic_s()
        self._hooks.on_commit(records - dead, dead)

    def reset(self) -> None:
        """Nothing is staged any more."""
        self._records = self._bytes = self._dead_letters = 0
        self._due_at_s = None

    def _dead_letter(self, batch: SourceBatch, dead: DeadRecord, form: Form) -> None:
        topic = self._dead_letter_topic(batch.topic)
        place = dead.place
        headers = batch.headers_at(place)
        key, value = batch.keys[place], batch.values[place]
        failure = Failure(
            stage=dead.stage,
            error=dead.error,
            operator=dead.operator,
            attempts=dead.attempts,
            first_failed_ms=dead.first_failed_ms,
            author=self._author,
            source=batch.topic,
            partition=batch.partition,
            position=str(batch.offsets[place]),
            failed_ms=self._clock.now_ms(),
            origin=ours_of(headers, ORIGIN),
            event_time=ours_of(headers, EVENT_TIME),
            key_schema_id=schema_id_of(key) if topic.has_key_schemas else None,
            value_schema_id=schema_id_of(value) if topic.has_value_schemas else None,
        )
        original = Original(key, value, headers, batch.timestamps_ms[place])
        letter = letter_of(original, failure, form, topic.max_record_bytes)
        self._session.producer.produce(
            topic.name,
            [letter.key],
            [letter.value],
            partitions=[topic.partition_of(batch.partition)],
            headers=[letter.headers],
            timestamps_ms=[letter.timestamp_ms],
        )
        self._dead_letters += 1
        self._bytes += letter.size_bytes
        self._hooks.on_dead_letter(batch.topic, batch.partition, batch.offsets[place], dead.stage, dead.error, headers)
