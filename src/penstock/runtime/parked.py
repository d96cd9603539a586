"""A task's parked records: which records join a queue instead of being processed, and the heads that are tried again.

Everything here works on the batch in hand of the task's state and accepts it, so that queues, outputs and offsets are
committed together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from penstock.batch import SourceBatch
from penstock.clock import Clock
from penstock.deadletter.parking import Head, ParkedRecord, Parking, Queue, parked
from penstock.errors import BadRecord, UnencodableValue
from penstock.protocols import RefusedRecord
from penstock.runtime.judge import Judge, Wait
from penstock.runtime.staged import DeadRecord, Staged
from penstock.runtime.verdict import Attempts
from penstock.state.task_state import TaskState

LOOK_EVERY_S: Final = 0.1
_FULL_PAUSE_S: Final = 1.0


class ParkingFull(BadRecord):
    """There is no more room to park records of this key: this one waits in front, and all that is behind it."""


def killer(deaths: int) -> DeadRecord:
    """A record, alone in its batch, on which the process died so many times."""
    error = BadRecord(f"the process died {deaths} times on it, so it was not run again", reason="killed")
    return DeadRecord(0, "process", "", error, deaths)


class ParkedRecords:
    """Those of one task.

    Args:
        parkings: {topic: its parked records}.
        state: the task's.
        judge: of the task.
        alone: runs the first record of a batch and adds what it came to; or says how it failed.
        clock: time.
    """

    def __init__(
        self,
        parkings: Mapping[str, Parking],
        state: TaskState,
        judge: Judge,
        alone: Callable[[SourceBatch, int, Staged], DeadRecord | None],
        clock: Clock,
    ) -> None:
        self._parkings = parkings
        self._state = state
        self._judge = judge
        self._alone = alone
        self._clock = clock
        self._look_at_s = 0.0
        self._due: deque[tuple[Parking, bytes]] = deque()
        self._refused: dict[tuple[str, int], list[RefusedRecord]] = {}

    @property
    def keys(self) -> int:
        """How many keys are parked."""
        return sum(parking.keys for parking in self._parkings.values())

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

    def retry(self, attempts: Attempts | None = None) -> tuple[SourceBatch, Staged, DeadRecord | None] | None:
        """Try the next of the heads that `is_due` has found.

        Args:
            attempts: told before it is touched; knows those that kill the process.

        Returns:
            The head as a batch of its own, what it came to, and how it failed where the task has to stop for it; None
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

    def note_refused(self, batch: SourceBatch, refused: RefusedRecord) -> None:
        """What this head came to is refused by a topic: it is not run again."""
        self._refused.setdefault((batch.topic, batch.offsets[0]), []).append(refused)

    def _tried(
        self, parking: Parking, head: Head, now_ms: int, attempts: Attempts | None
    ) -> tuple[SourceBatch, Staged, DeadRecord | None]:
        batch, staged, queue = parking.batch(head), Staged(), head.queue
        verdict = None
        if attempts is not None:
            verdict = attempts.verdict(batch)
            attempts.begin(batch)
        failed = killer(verdict.deaths) if verdict is not None else self._failure(batch, head, staged)
        if failed is None:
            parking.leave(head, now_ms)
            self._state.accept_batch()
            return batch, staged, None
        failures, age_s = queue.failures + 1, (now_ms - queue.first_failed_ms) / 1000
        sentence, gives_up_rest = self._judge.judge_parked(batch, failed, failures, age_s)
        if verdict is not None:  # it is not tried again, whatever its schedule says
            sentence = "stop" if self._judge.resort("", batch.topic) == "fail" else "set aside"
            failures = verdict.deaths
        failed = DeadRecord(0, failed.stage, failed.operator, failed.error, failures, queue.first_failed_ms)
        if queue.is_given_up:
            sentence = "set aside"
        refusals = self._refused.get((batch.topic, batch.offsets[0]), [])
        if len(refusals) > 1:  # its dead letter is refused as well
            sentence = "stop"
        if sentence == "stop":
            return batch, staged, failed
        if sentence == "set aside":
            staged.dead, staged.records = [failed], staged.records + 1
            parking.leave(head, now_ms, give_up_rest=gives_up_rest)
        else:
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

    def _failure(self, batch: SourceBatch, head: Head, staged: Staged) -> DeadRecord | None:
        if head.queue.is_given_up:
            error: BaseException = BadRecord("a record of its key before it was given up", reason="chain")
            return DeadRecord(0, "process", head.queue.operator, error)
        refusals = self._refused.get((batch.topic, batch.offsets[0]))
        if refusals:
            told = f"topic '{refusals[0].topic}' refuses what it came to: {refusals[0].reason}"
            return DeadRecord(0, "sink", head.queue.operator, UnencodableValue(told, reason="refused"))
        return self._alone(batch, 0, staged)
