"""What becomes of a record that failed alone: the task stops, it is set aside, or it is tried again later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from penstock.batch import SourceBatch
from penstock.clock import Clock
from penstock.runtime.merge import Partition
from penstock.runtime.staged import DeadRecord
from penstock.topology.policy import OUTAGE, Classifier, Policy, last_resort, nature_of, schedule_of


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after so many seconds.

    Attributes:
        seconds: from now.
        failures: so far.
        is_outage: whether a dependency is away, so that the record is not to blame.
    """

    seconds: float
    failures: int
    is_outage: bool


@dataclass(frozen=True, slots=True)
class Park:
    """Keep it with those of its key, and try again after so many seconds."""

    seconds: float


Sentence = Literal["stop", "set aside"] | Wait


@dataclass(slots=True)
class _Trial:
    """Of the record of a partition that is being tried again: there is one at most, since what is behind it waits.

    Attributes:
        offset: the record's.
        dead: how it failed last.
        first_s: when it failed first for its own fault, by the monotonic clock.
        first_ms: likewise, milliseconds since 1970 UTC.
        failures: for its own fault.
        outages: failures for a dependency that was away: they use up none of its tries.
        is_outage: whether the last was one.
        due_s: when it is tried again.
    """

    offset: int
    dead: DeadRecord
    first_s: float
    first_ms: int
    failures: int = 0
    outages: int = 0
    is_outage: bool = False
    due_s: float = 0.0

    def note(self, dead: DeadRecord, now_s: float, now_ms: int, *, is_outage: bool) -> int:
        """It has failed again; how often so for such a reason."""
        self.dead, self.is_outage = dead, is_outage
        if is_outage:
            self.outages += 1
            return self.outages
        if not self.failures:
            self.first_s, self.first_ms = now_s, now_ms
        self.failures += 1
        return self.failures


class Judge:
    """Knows what was tried how often; in memory, for the life of one task on one worker.

    Args:
        policy: of an operator, by its name, or of a source topic where the operator is empty.
        classify: the user's own; None = by type.
        clock: time.
    """

    def __init__(self, policy: Callable[[str, str], Policy], classify: Classifier | None, clock: Clock) -> None:
        self._policy = policy
        self._classify = classify
        self._clock = clock
        self._trials: dict[Partition, _Trial] = {}

    def resort(self, operator: str, topic: str) -> Literal["fail", "dead_letter"]:
        """What becomes of a record that it makes no sense to try again."""
        return last_resort(self._policy(operator, topic))

    def waiting(self, source: SourceBatch) -> tuple[int, DeadRecord, Wait] | None:
        """The place of a record in this batch that is not due yet, and how it failed last; None = there is none.

        A task may come to it early: work in front of it was lost with a transaction, and done again.
        """
        trial = self._trials.get((source.topic, source.partition)) if self._trials else None
        if trial is None or trial.offset not in source.offsets:
            return None
        left_s = trial.due_s - self._clock.monotonic_s()
        if left_s <= 0:
            return None
        place = source.offsets.index(trial.offset)
        dead = DeadRecord(place, trial.dead.stage, trial.dead.operator, trial.dead.error)
        return place, dead, Wait(left_s, trial.failures, trial.is_outage)

    def judge(
        self, source: SourceBatch, dead: DeadRecord, *, can_park: bool = False
    ) -> tuple[Sentence | Park, DeadRecord]:
        """What becomes of a record that failed alone, now; and the record with what is known of its trials.

        Args:
            source: the batch that it is in.
            dead: how it failed.
            can_park: whether it may be parked, if its policy says so.
        """
        partition, offset = (source.topic, source.partition), source.offsets[dead.place]
        error = dead.error
        nature = nature_of(error, self._classify) if isinstance(error, Exception) else "bug"
        if nature == "bug":
            return "stop", dead
        policy = self._policy(dead.operator, source.topic)
        schedule = OUTAGE if nature == "transient" else schedule_of(policy)
        is_worth_it = schedule is not None and dead.stage != "decode" and isinstance(error, schedule.on)
        if schedule is None or not is_worth_it:
            return self._end(partition, policy, dead)
        if can_park and schedule.keep == "key" and not schedule.is_over(1, 0.0):
            return Park(schedule.wait_s(1, f"{source.topic}[{source.partition}]@{offset}")), dead
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        trial = self._trials.get(partition)
        if trial is None or trial.offset != offset:
            trial = self._trials[partition] = _Trial(offset, dead, now_s, now_ms)
        failures = trial.note(dead, now_s, now_ms, is_outage=nature == "transient")
        tried = DeadRecord(dead.place, dead.stage, dead.operator, error, failures, trial.first_ms)
        if schedule.is_over(failures, now_s - trial.first_s):
            return self._end(partition, policy, tried)
        wait_s = schedule.wait_s(failures, f"{source.topic}[{source.partition}]@{offset}")
        trial.due_s = now_s + wait_s
        return Wait(wait_s, failures, trial.is_outage), tried

    def judge_parked(self, batch: SourceBatch, dead: DeadRecord, failures: int, age_s: float) -> tuple[Sentence, bool]:
        """What becomes of a parked record that failed again; and, if it is given up, whether the rest of its key is.

        Args:
            batch: it alone.
            dead: how it failed.
            failures: so far, this one included.
            age_s: since the first of them.
        """
        error = dead.error
        nature = nature_of(error, self._classify) if isinstance(error, Exception) else "bug"
        if nature == "bug":
            return "stop", False
        salt = f"{batch.topic}[{batch.partition}]@{batch.offsets[0]}"
        if nature == "transient":
            return Wait(OUTAGE.wait_s(failures, salt), failures, is_outage=True), False
        policy = self._policy(dead.operator, batch.topic)
        schedule = schedule_of(policy)
        is_worth_it = schedule is not None and dead.stage not in ("decode", "sink") and isinstance(error, schedule.on)
        if schedule is None or not is_worth_it or schedule.is_over(failures, age_s):
            gives_up_rest = self.gives_up_rest(dead.operator, batch.topic)
            return ("stop" if last_resort(policy) == "fail" else "set aside"), gives_up_rest
        return Wait(schedule.wait_s(failures, salt), failures, is_outage=False), False

    def gives_up_rest(self, operator: str, topic: str) -> bool:
        """Whether the records behind a parked one that is given up are given up with it."""
        schedule = schedule_of(self._policy(operator, topic))
        return schedule is not None and schedule.rest == "dead_letter"

    def passed(self, source: SourceBatch) -> None:
        """All of this batch is dealt with: what was tried in it is over."""
        if self._trials and source.offsets:
            trial = self._trials.get((source.topic, source.partition))
            if trial is not None and trial.offset <= source.offsets[-1]:
                del self._trials[source.topic, source.partition]

    def _end(self, partition: Partition, policy: Policy, dead: DeadRecord) -> tuple[Sentence, DeadRecord]:
        if last_resort(policy) == "fail":
            self._trials.pop(partition, None)
            return "stop", dead
        return "set aside", dead
