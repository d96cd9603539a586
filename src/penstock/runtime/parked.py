"""A task's parked records: which records join a queue instead of being processed, and the heads that are tried again.

Everything here works on the batch in hand of the task's state and accepts it, so that queues, outputs and offsets are
committed together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from penstock.batch import SourceBatch
from penstock.clock import Clock
from penstock.deadletter.parking import Head, ParkedCounts, ParkedRecord, Parking, Queue, parked
from penstock.errors import BadRecord, UnencodableValue
from penstock.protocols import RefusedRecord
from penstock.runtime.judge import Judge, Sentence, Wait
from penstock.runtime.staged import DeadRecord, Staged
from penstock.runtime.verdict import Attempts, Verdict
from penstock.state.task_state import TaskState

LOOK_EVERY_S: Final = 0.1
_FULL_PAUSE_S: Final = 1.0
MEND_THE_TOPIC: Final = "mend that topic's settings, then start again"


class ParkingFull(BadRecord):
    """There is no more room to park records of this key: this one waits in front, and all that is behind it."""


def killer(deaths: int) -> DeadRecord:
    """A record, alone in its batch, on which the process died so many times."""
    error = BadRecord(f"the process died {deaths} times on it, so it was not run again", reason="killed")
    return DeadRecord(0, "process", "", error, deaths)


def last_refusal(letter: RefusedRecord) -> DeadRecord:
    """A record, alone in its batch, of which nothing at all can be written."""
    told = f"topic '{letter.topic}' refuses its dead letter in every form: {letter.reason}"
    return DeadRecord(0, "sink", "", UnencodableValue(told, reason="refused"))


Judged = tuple[DeadRecord, str | None]
"""How a record, alone in its batch, failed; and where the task has to stop for it what to do, empty = as usual."""


class Stopped(NamedTuple):
    """A head for which the task has to stop, and what to do about it; empty = as usual."""

    dead: DeadRecord
    advice: str


class ParkedRecords:
    """Those of one task.

    Args:
        parkings: {topic: its parked records}.
        state: the task's.
        judge: of the task.
        alone: runs the first record of a batch and adds what it came to; or says how it failed.
        refusal: judges a record of which a topic refuses what it came to.
        clock: time.
    """

    def __init__(
        self,
        parkings: Mapping[str, Parking],
        state: TaskState,
        judge: Judge,
        alone: Callable[[SourceBatch, int, Staged], DeadRecord | None],
        refusal: Callable[[RefusedRecord], Judged],
        clock: Clock,
    ) -> None:
        self._parkings = parkings
        self._state = state
        self._judge = judge
        self._alone = alone
        self._refusal = refusal
        self._clock = clock
        self._look_at_s = 0.0
        self._due: deque[tuple[Parking, bytes]] = deque()
        self._verdicts: dict[tuple[str, int], Verdict] = {}

    @property
    def counts(self) -> ParkedCounts:
        """How much is parked."""
        return ParkedCounts.of_all(parking.counts for parking in self._parkings.values())

    # ------------------------------------------------------------ on the way in

    def held(self, source: SourceBatch, places: Sequence[int]) -> list[int]:
        """Which of these records have to join a queue."""
        parking = self._parkings.get(source.topic)
        if parking is None or not parking.keys:
            return []
        return [place for place in places if parking.holds(source.keys[place])]

    def have_room(self, source: SourceBatch, places: Sequence[int]) -> bool:
        """Whether all of these may join."""
        by_key: dict[bytes, list[ParkedRecord]] = {}
        for place in places:
            by_key.setdefault(source.keys[place] or b"", []).append(parked(source, place))
        parking = self._parkings[source.topic]
        return all(parking.has_room(key, records) for key, records in by_key.items())

    def join(self, source: SourceBatch, place: int) -> DeadRecord | None:
        """Put a record behind the others of its key; or say that there is no room."""
        parking, key = self._parkings[source.topic], source.keys[place] or b""
        record = parked(source, place)
        if not parking.has_room(key, [record]):
            return DeadRecord(place, "process", "", ParkingFull("too much is parked of its key", reason="parking"))
        parking.join(key, record)
        self._state.accept_batch()
        return None

    def full(self) -> Wait:
        """How long to wait for room."""
        return Wait(_FULL_PAUSE_S, 0, is_outage=False)

    def can_park(self, source: SourceBatch, place: int) -> bool:
        """Whether a record that failed may be parked: it has a key, and there is room."""
        parking, key = self._parkings.get(source.topic), source.keys[place]
        return parking is not None and key is not None and parking.has_room(key, [parked(source, place)])

    def park(self, source: SourceBatch, dead: DeadRecord, wait_s: float) -> None:
        """The first of its key fails: it becomes the head of a queue."""
        now_ms, key = self._clock.now_ms(), source.keys[dead.place] or b""
        record = parked(source, dead.place)
        queue = Queue(
            first=0,
            behind=1,
            size_bytes=record.size_bytes,
            due_ms=now_ms + round(wait_s * 1000),
            failures=1,
            first_failed_ms=now_ms,
            operator=dead.operator,
            exception=type(dead.error).__qualname__,
        )
        self._parkings[source.topic].park(key, record, queue)
        self._state.accept_batch()

    # ------------------------------------------------------------ when it is time

    def is_due(self) -> bool:
        """Whether there are heads to try; looks no more often than `LOOK_EVERY_S`."""
        if not self._parkings:
            return False
        now_s = self._clock.monotonic_s()
        if now_s < self._look_at_s:
            return False
        self._look_at_s = now_s + LOOK_EVERY_S
        now_ms = self._clock.now_ms()
        self._due = deque((parking, key) for parking in self._parkings.values() for key in parking.due(now_ms))
        return bool(self._due)

    def retry(self, attempts: Attempts | None = None) -> tuple[SourceBatch, Staged, Stopped | None] | None:
        """Try the next of the heads that `is_due` has found.

        Args:
            attempts: told before it is touched; knows those that kill the process.

        Returns:
            The head as a batch of its own, what it came to, and why the task has to stop for it, if it has to; None
            where no head is due.
        """
        now_ms = self._clock.now_ms()
        while self._due:
            parking, key = self._due.popleft()
            head = parking.due_head(key, now_ms)  # what was due may be gone, with a transaction
            if head is not None:
                self._due.appendleft((parking, key))  # for the next of its key, which is due if this one leaves
                return self._tried(parking, head, now_ms, attempts)
        return None

    def note_refused(self, batch: SourceBatch, refused: Sequence[RefusedRecord], dead_letter_topic: str) -> None:
        """A transaction with this head alone in it was refused, for these records of it."""
        place = (batch.topic, batch.offsets[0])
        self._verdicts[place] = self._verdicts.get(place, Verdict()).refused_again(refused, dead_letter_topic)

    def _tried(
        self, parking: Parking, head: Head, now_ms: int, attempts: Attempts | None
    ) -> tuple[SourceBatch, Staged, Stopped | None]:
        batch, staged, queue = parking.batch(head), Staged(), head.queue
        known = self._verdicts.get((batch.topic, batch.offsets[0]), Verdict())
        staged.form = known.form
        if attempts is not None:
            deadly = attempts.verdict(batch)
            known = known if deadly is None else replace(known, deaths=deadly.deaths)
            attempts.begin(batch)
        failed, advice = self._not_run(batch, queue, known) or (None, "")
        failures, age_s = queue.failures + 1, (now_ms - queue.first_failed_ms) / 1000
        sentence: Sentence = "set aside" if advice is None else "stop"
        gives_up_rest = self._judge.gives_up_rest(queue.operator, batch.topic)
        if failed is None:
            failed = self._alone(batch, 0, staged)
            if failed is None:
                parking.leave(head, now_ms)
                self._state.accept_batch()
                return batch, staged, None
            sentence, gives_up_rest = self._judge.judge_parked(batch, failed, failures, age_s)
        tries = known.deaths or failures
        failed = DeadRecord(0, failed.stage, failed.operator, failed.error, tries, queue.first_failed_ms)
        if sentence == "stop":
            return batch, staged, Stopped(failed, advice or "")
        if sentence == "set aside":
            staged.dead, staged.records = [failed], staged.records + 1
            parking.leave(head, now_ms, give_up_rest=gives_up_rest)
        else:
            staged.put_off = [failed]
            parking.put_off(
                head,
                msgspec.structs.replace(
                    queue,
                    failures=queue.failures if sentence.is_outage else failures,
                    first_failed_ms=queue.first_failed_ms if queue.failures else now_ms,
                    due_ms=now_ms + round(sentence.seconds * 1000),
                    operator=failed.operator,
                    exception=type(failed.error).__qualname__,
                ),
            )
        self._state.accept_batch()
        return batch, staged, None

    def _not_run(self, batch: SourceBatch, queue: Queue, known: Verdict) -> Judged | None:
        """How a head failed that is not run again; None = it is run."""
        if known.last_refusal is not None:
            return last_refusal(known.last_refusal), MEND_THE_TOPIC
        if known.refused is not None:
            return self._refusal(known.refused)
        if queue.is_given_up:
            error = BadRecord("a record of its key before it was given up", reason="chain")
            return DeadRecord(0, "process", queue.operator, error), None
        if known.deaths:
            return killer(known.deaths), "" if self._judge.resort("", batch.topic) == "fail" else None
        return None
