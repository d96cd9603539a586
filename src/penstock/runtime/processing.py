"""One batch of each task: how many records are in it, and which tasks stand still.

A task stops in front of a record that fails and whose policy says so, or of a position that is no longer in the log;
it waits in front of one that is to be tried again. What it did before is committed, its partitions stay assigned and
paused, the other tasks go on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from threading import get_ident
from typing import Protocol

from penstock.batch import SourceBatch
from penstock.clock import Clock
from penstock.errors import OperatorMustDecide
from penstock.kafka.consumer import Committed
from penstock.protocols import RefusedRecord
from penstock.runtime.attempts import AttemptLedger
from penstock.runtime.breaker import Breakers
from penstock.runtime.breaker_state import BreakerState
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.lost_positions import LostPositions, PositionLost
from penstock.runtime.merge import Partition
from penstock.runtime.pace import Pace
from penstock.runtime.savepoint import RecordFailed, RecordWaits
from penstock.runtime.staging import LOGGER, Staging
from penstock.runtime.suspects import Suspects
from penstock.runtime.task import Task, TaskId, TaskStatus
from penstock.runtime.watchdog import AtWork
from penstock.topology.policy import CircuitBreaker

_MAX_RETRIES = 100
"""Parked records that are tried in one transaction."""

_DRAINED_S = 1.0
"""A task that nobody writes for any more has done everything when nothing has come for so long."""


class Source(Protocol):
    """What processing asks of the consumer."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these."""
        ...

    def end_offsets(self, partition: Partition) -> tuple[int, int]:
        """(first offset, last stable offset)."""
        ...

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, Committed]:
        """The group's stable committed positions."""
        ...


class Processing:
    """Runs the tasks' batches and stages what they come to.

    Args:
        source: the consumer.
        staging: holds the open transaction.
        commit: commits what is staged.
        dead_letter_topic: of a source topic.
        starved: of tasks that have stopped: which others get no more input for it.
        resume: read a task's partitions again, from its last commit on.
        breaker: when a task pauses because too much fails; None = never.
        attempts: finds records that kill the process; None = nobody does.
        limits: see there.
        clock: time.
        hooks: told what happens.

    Attributes:
        at_work: the task whose batch is being processed; None between two batches. Read by other threads.
        suspects: tasks that work in small transactions, because one was refused.
        lost: positions that are no longer in the log.
    """

    def __init__(
        self,
        source: Source,
        staging: Staging,
        *,
        commit: Callable[[], None],
        dead_letter_topic: Callable[[str], str],
        starved: Callable[[Collection[TaskId]], set[TaskId]],
        resume: Callable[[Task], None],
        breaker: CircuitBreaker | None = None,
        attempts: AttemptLedger | None = None,
        limits: WorkerLimits,
        clock: Clock,
        hooks: WorkerHooks,
    ) -> None:
        self.suspects = Suspects(dead_letter_topic)
        self.lost = LostPositions(source.end_offsets, source.committed)
        self._source = source
        self._staging = staging
        self._commit = commit
        self._starved = starved
        self._resume = resume
        self._limits = limits
        self._clock = clock
        self._hooks = hooks
        self.at_work: AtWork | None = None
        self._dead_letter_topic = dead_letter_topic
        self._pace = Pace(limits)
        self._breakers = Breakers(breaker, clock)
        self._attempts = attempts
        self._resume_at: TaskId | None = None
        self._retried: tuple[Task, list[SourceBatch]] | None = None
        self._careful: set[TaskId] = set()
        self._last_failure: OperatorMustDecide | None = None

    def step(self, tasks: Collection[Task]) -> None:
        """Run a batch of each task that runs, as far as time allows; commit where that cannot wait.

        The group wants to be polled: tasks for which there was no time are the first of the next step.
        """
        self._retried = None
        until_s = self._clock.monotonic_s() + self._limits.max_batch_s
        in_turn, self._resume_at = self._in_turn(tasks), None
        for task in in_turn:
            if self._clock.monotonic_s() > until_s:
                self._resume_at = task.id
                break
            may_retry = task.status is not TaskStatus.STOPPED and task.breaker is not BreakerState.OPEN
            if may_retry and task.parked.is_due():
                self._retry_parked(task)
            if task.status is TaskStatus.WAITING and self._clock.monotonic_s() >= task.resume_at_s:
                task.resume()
                task.breaker = self._breakers.state(task.id, is_open=False)
                self._resume(task)
            if task.status is TaskStatus.RUNNING and task.buffer:
                self._run(task)
            if self._staging.is_due():
                self._commit()
        for task, lost in self.lost.due(tasks):
            self._stop(task, lost)

    def _in_turn(self, tasks: Collection[Task]) -> list[Task]:
        in_turn = list(tasks)
        first = next((place for place, task in enumerate(in_turn) if task.id == self._resume_at), 0)
        return in_turn[first:] + in_turn[:first]

    def check(self, tasks: Collection[Task]) -> None:
        """Whether anything is left to do.

        Args:
            tasks: all that the worker has or will have; none yet says nothing.

        Raises:
            OperatorMustDecide: every task has stopped, or has done all that tasks which have stopped wrote for it.
        """
        failed = self._last_failure
        if failed is None or not tasks:
            return
        stopped = {task.id for task in tasks if task.status is TaskStatus.STOPPED}
        starved = self._starved(stopped) if self._staging.quiet_s >= _DRAINED_S else set[TaskId]()
        if all(task.id in stopped or (task.id in starved and task.is_drained) for task in tasks):
            raise OperatorMustDecide(f"every task of this worker has stopped; the last: {failed}") from failed

    def committed(self, tasks: Mapping[TaskId, Task]) -> None:
        """What was staged is visible."""
        self._staging.committed()
        self.suspects.committed(tasks)

    def _run(self, task: Task) -> None:
        alone = self.suspects.limit(task.id)
        most = min(
            self._pace.max_records(task.id),
            alone or self._limits.max_batch_records,
            self._breakers.max_records(task.id) or self._limits.max_batch_records,
            (self._attempts and self._attempts.max_records(task.next_offsets)) or self._limits.max_batch_records,
        )
        is_slow = self._pace.expected_s(task.id, min(most, len(task.buffer))) > self._limits.commit_interval_s
        if alone is not None or is_slow:
            # What else is staged has a transaction of its own, or would be overdue behind this batch: at worst it would
            # outlast its budget, be discarded and done again, for ever.
            self._commit()
        self._hooks.on_step("process")
        began_at_s = self._clock.monotonic_s()
        self.at_work = AtWork(task, began_at_s, get_ident())
        try:
            done = task.run(most, self.suspects.verdicts(task.id), self._attempts)
        except (RecordFailed, RecordWaits) as failed:
            self._put_down()
            if failed.staged.records or failed.staged.parked:
                before = failed.source.slice(0, failed.place)
                self._staging.add(before, failed.staged, self._clock.monotonic_s() - began_at_s, task.spent_s)
            if isinstance(failed, RecordFailed):
                self._stop(task, failed)
            else:
                self._wait(task, failed)
            return
        except MemoryError:
            self._blame()
            raise
        finally:
            self._put_down()
        if done is None:
            return
        batch, staged = done
        duration_s = self._clock.monotonic_s() - began_at_s
        self._pace.note(task.id, len(batch), duration_s, staged.size_bytes)
        if alone is not None:
            self.suspects.take(task.id, batch)
        self._staging.add(batch, staged, duration_s, task.spent_s)
        pause_s = self._breakers.note(task.id, len(batch), staged.dead)
        task.breaker = self._breakers.state(task.id, is_open=pause_s is not None)
        if pause_s is not None:
            self._pause(task, pause_s)
        elif alone is not None:
            self._commit()

    def _retry_parked(self, task: Task) -> None:
        """Try parked records that are due, in a transaction of their own: should it be refused, it is for one of these.

        Not while a refused record is looked for: that takes transactions with nothing else in them.
        """
        if self.suspects.limit(task.id) is not None:
            return
        self._commit()
        until_s = self._clock.monotonic_s() + self._limits.max_batch_s
        most = 1 if task.id in self._careful else _MAX_RETRIES
        self._retried = task, []
        pause_s: float | None = None
        try:
            while len(self._retried[1]) < most and pause_s is None and self._clock.monotonic_s() <= until_s:
                began_at_s = self._clock.monotonic_s()
                self.at_work = AtWork(task, began_at_s, get_ident())
                try:
                    done = task.retry(self._attempts)
                except MemoryError:
                    self._blame()
                    raise
                finally:
                    self._put_down()
                if done is None:
                    break
                self._staging.add(*done, self._clock.monotonic_s() - began_at_s, task.spent_s)
                self._retried[1].append(done[0])
                pause_s = self._breakers.note(task.id, done[1].records, done[1].dead)
            self._commit()
            self._careful.discard(task.id)
            task.breaker = self._breakers.state(task.id, is_open=pause_s is not None)
            if pause_s is not None:
                self._pause(task, pause_s)
        except RecordFailed as failed:
            self._stop(task, failed)
        self._retried = None

    def _blame(self) -> None:
        """There was not enough memory for what is in hand; the process ends, and the next one has to know why."""
        if self._attempts is not None:
            self._attempts.blame()

    def _put_down(self) -> None:
        """Nothing is in hand any more: what follows takes the brokers' time, and is no record's fault."""
        self.at_work = None
        if self._attempts is not None:
            self._attempts.end()

    def refused(self, refused: Sequence[RefusedRecord], touched: Sequence[Task]) -> None:
        """The open transaction was refused. To be called before the tasks are discarded: they know how far they were.

        Raises:
            OperatorMustDecide: there is no input record in it that could be at fault.
        """
        retried, self._retried = self._retried, None
        if retried is None:
            self.suspects.refused(refused, touched, self._staging.records)
            return
        task, batches = retried
        if len(batches) == 1:
            task.parked.note_refused(batches[0], refused, self._dead_letter_topic(batches[0].topic))
        else:
            self._careful.add(task.id)

    def _pause(self, task: Task, seconds: float) -> None:
        """Too much fails: keep what is done, dead letters too, and stand still for a while."""
        task.wait(self._clock.monotonic_s() + seconds)
        LOGGER.error(
            "task %s pauses for %.0f s: too much of what it reads ends as dead letters; see `penstock dlq stats`",
            task.id,
            seconds,
            extra={"task": str(task.id)},
        )
        self._hooks.on_breaker(str(task.id), seconds)
        self._source.pause(task.sources)
        self._commit()

    def _wait(self, task: Task, waits: RecordWaits) -> None:
        """Keep what came before, then stand still until it is time."""
        task.wait(self._clock.monotonic_s() + waits.wait.seconds)
        self.suspects.forget(task.id)
        source = waits.source
        place = {"topic": source.topic, "partition": source.partition, "offset": source.offsets[waits.place]}
        LOGGER.warning("task %s waits: %s", task.id, waits, extra={"task": str(task.id), **place})
        headers = source.headers_at(waits.place)
        self._hooks.on_wait(str(task.id), waits.dead.stage, waits.dead.error, waits.wait.seconds, headers)
        self._source.pause(task.sources)
        self._commit()

    def _stop(self, task: Task, why: RecordFailed | PositionLost) -> None:
        """Keep what came before, then stand still."""
        task.stop()
        self.suspects.forget(task.id)
        self._last_failure = why
        place = {"topic": why.topic, "partition": why.partition, "offset": why.offset}
        LOGGER.error("task %s has stopped: %s", task.id, why, extra={"task": str(task.id), **place})
        self._hooks.on_stop(str(task.id), why)
        self._source.pause(task.sources)
        self._commit()
