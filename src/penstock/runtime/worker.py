"""A worker: one consumer, one transactional producer, one thread, and the tasks that the group gives it.

`step` does a bounded amount of work, so that tests and a supervisor can drive it:

1. poll          records into their tasks' buffers; partitions come and go in here
2. restore       a slice of each task that is not back yet; one that is back claims its task
3. process       one batch per task, staged in the open transaction
4. commit        when it is time
5. checkpoint    what was committed goes to disk now and then, by another thread
6. back-pressure partitions with enough buffered are paused

Whatever goes wrong with a transaction has one way out (`_discard`): drop the producer, roll everything back to the last
commit, seek, go on. What cannot be known is asked of the log first (`_settle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack

from penstock.clock import Clock
from penstock.deadletter.envelope import Author
from penstock.errors import DuplicateIdentity, Fenced, OutcomeUnknown, Retriable, TransactionAborted
from penstock.runtime.arrivals import Arrivals
from penstock.runtime.attempts import AttemptLedger
from penstock.runtime.back_pressure import BackPressure
from penstock.runtime.commit import Committer
from penstock.runtime.doubt import RETRY_PAUSE_S, was_committed
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.intake import Intake
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.participation import Participation
from penstock.runtime.processing import Processing
from penstock.runtime.staging import LOGGER, Staging
from penstock.runtime.takeover import Takeover
from penstock.runtime.task import Task, TaskId, TaskStatus
from penstock.runtime.tasks import Tasks
from penstock.runtime.twins import Twins
from penstock.runtime.watchdog import AtWork
from penstock.topology.policy import CircuitBreaker
from penstock.transactions.session import TransactionSession

_SAVE_BUDGET_S = 10.0


class Worker:
    """Runs a pipeline's tasks. `run` until `stop` is called, or `step` by step.

    Args:
        author: of dead letters.
        consumer: makes the group member, given this worker as its listener.
        session: its transactions.
        tasks: makes tasks.
        topics: to subscribe to.
        limits: see there.
        clock: time.
        hooks: told what happens.
        twins: judges fences.
        takeover: ends what dead workers left open; None = they are left to their time-outs.
        breaker: when a task pauses because too much fails; None = never.
        attempts: finds records that kill the process; None = nobody does.
    """

    def __init__(
        self,
        author: Author,
        *,
        consumer: Callable[[Worker], Member],
        session: TransactionSession,
        tasks: Tasks,
        topics: Iterable[str],
        limits: WorkerLimits,
        clock: Clock,
        hooks: WorkerHooks,
        twins: Callable[[Member], Twins],
        takeover: Takeover | None = None,
        breaker: CircuitBreaker | None = None,
        attempts: AttemptLedger | None = None,
    ) -> None:
        self._session = session
        self._makes = tasks
        self._limits = limits
        self._clock = clock
        self._hooks = hooks
        self._stopping = False
        self._has_left = False
        self._tasks: dict[TaskId, Task] = {}
        self._is_polling = False
        self._must_rewind = False
        self._staging = Staging(
            author,
            session,
            dead_letter_topic=tasks.dead_letter_topic,
            limits=limits,
            clock=clock,
            hooks=hooks,
        )
        self._consumer = consumer(self)
        self._place = Participation(self._consumer, session, twins, topics)
        self._arrivals = Arrivals(tasks, self._consumer, takeover, clock, hooks, limits.max_restores)
        self._intake = Intake(self._consumer)
        self._back_pressure = BackPressure(self._consumer, limits, hooks)
        self._committer = Committer(
            session,
            self._consumer,
            changelog_of=tasks.changelog_of,
            is_ours=lambda partition: partition in self._place.assigned,
            hooks=hooks,
        )
        self._processing = Processing(
            self._consumer,
            self._staging,
            commit=self._commit,
            dead_letter_topic=lambda source: tasks.dead_letter_topic(source).name,
            starved=tasks.starved,
            resume=self._start,
            breaker=breaker,
            attempts=attempts,
            limits=limits,
            clock=clock,
            hooks=hooks,
        )
        self._place.join()

    # ------------------------------------------------------------ life

    def stop(self) -> None:
        """Commit what is done, then return from `run`. May be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Work until `stop`. What is raised leaves the group first, so that the next worker need not wait for it.

        Raises:
            DuplicateIdentity: another live worker has this identity.
            OperatorMustDecide: every task has stopped; the log says why, each.
        """
        try:
            while not self._stopping:
                self.step()
        except BaseException:
            self.leave()  # and commits nothing: a poll that fails may have swallowed records
            raise
        self.close()

    def close(self) -> None:
        """Commit what is done, write checkpoints, close the tasks, leave the group. Correctness never depends on it."""
        try:
            self._guarded(self._commit)
            for task in self._tasks.values():
                task.save(_SAVE_BUDGET_S)
        finally:
            self.leave()

    def leave(self) -> None:
        """Leave the group and commit nothing; what is staged is lost with the transaction, and read again.

        Everything is let go of, even if some of it raises. A second call does nothing.
        """
        if self._has_left:
            return
        self._has_left = True
        with ExitStack() as last_to_first:
            last_to_first.callback(self._consumer.close)
            last_to_first.callback(self._session.close)
            last_to_first.callback(self._arrivals.close)
            for task in self._tasks.values():
                last_to_first.callback(task.close)
            # Closing the consumer calls `on_revoked`, which finds no task and so nothing to commit.
            self._tasks.clear()

    @property
    def is_idle(self) -> bool:
        """Whether every task that could run does, with nothing buffered, staged or waited for."""
        buffered = any(len(task.buffer) for task in self._tasks.values())
        is_missing = self._makes.complete(self._place.assigned).keys() - self._tasks.keys()
        waits = any(task.status is TaskStatus.WAITING for task in self._tasks.values())
        return not (buffered or is_missing or waits or self._touched())

    @property
    def tasks(self) -> dict[TaskId, Task]:
        """The tasks that are restored, by name."""
        return dict(self._tasks)

    @property
    def restoring(self) -> Mapping[TaskId, tuple[int, int] | None]:
        """{task that is on its way here: changelog offsets read, and all that are to be; None = not known yet}."""
        return self._arrivals.progress

    @property
    def at_work(self) -> AtWork | None:
        """The task whose batch is being processed now; may be read by another thread."""
        return self._processing.at_work

    def step(self) -> None:
        """Do a bounded amount of work; see the module's text."""
        self._guarded(self._place.wait if self._place.is_waiting else self._step)

    def _step(self) -> None:
        self._hooks.on_step("poll")
        wait_s = self._back_pressure.patience_s(
            self._tasks.values(), self._staging.patience_s(), is_arriving=self._arrivals.is_at_work
        )
        began_at_s = self._clock.monotonic_s()
        self._is_polling = True
        try:
            polled = self._consumer.poll(self._limits.max_batch_records, wait_s)
        finally:
            self._is_polling = False
        self._hooks.on_poll(sum(map(len, polled.batches)), self._clock.monotonic_s() - began_at_s)
        if self._must_rewind:
            self._rewind()
            return
        if self._place.is_waiting:
            return
        running = [task for task in self._tasks.values() if task.status is TaskStatus.RUNNING]
        owners = {partition: task for task in running for partition in task.sources}
        if self._intake.take(polled, owners):
            self._staging.note()
        # A position that we never asked for (an assignment begins at 0, paused) is nobody's loss.
        self._processing.lost.note({p: o for p, o in polled.lost.items() if self._intake.expects(p, o)})
        self._makes.tend(self._tasks.values())
        self._restore()
        self._processing.step(list(self._tasks.values()))
        if self._staging.is_due():
            self._commit()
        for task in self._tasks.values():
            task.save_when_due()
        self._back_pressure.balance(self._tasks.values())
        if not self._arrivals:
            self._processing.check(self._tasks.values())
        self._place.look_around()

    # ------------------------------------------------------------ partitions that come and go (inside poll)

    def on_assigned(self, partitions: list[Partition]) -> None:
        """These are ours now, paused."""
        self._hooks.on_rebalance("assigned", partitions)
        self._place.assigned.update(partitions)
        self._arrivals.assigned(self._place.assigned)

    def on_revoked(self, partitions: list[Partition]) -> None:
        """Commit what is done, offsets included, before they go."""
        self._hooks.on_rebalance("revoked", partitions)
        try:
            self._guarded(self._commit)
        finally:
            self._give_away(partitions, may_come_back=self._consumer.is_eager)

    def on_lost(self, partitions: list[Partition]) -> None:
        """They are somebody else's already: nothing may be committed."""
        self._hooks.on_rebalance("lost", partitions)
        try:
            if any(partition in partitions for task in self._touched() for partition in task.sources):
                self._discard(TransactionAborted("partitions were lost with work on them"))
        finally:
            self._give_away(partitions)

    def _give_away(self, partitions: list[Partition], *, may_come_back: bool = False) -> None:
        self._place.assigned.difference_update(partitions)
        self._back_pressure.forget(partitions)
        self._intake.forget(partitions)
        for task_id in [t for t, task in self._tasks.items() if not self._place.assigned.issuperset(task.sources)]:
            task = self._tasks.pop(task_id)
            self._arrivals.suspend(task) if may_come_back else task.close()
        self._arrivals.give_away(self._place.assigned, may_come_back=may_come_back)

    # ------------------------------------------------------------ restore and claim

    def _restore(self) -> None:
        complete = self._makes.complete(self._place.assigned)
        self._place.initialise()
        for task in self._arrivals.returned(complete):
            self._take_on(task, "ours again")
        back: list[Task] = []
        try:
            back.extend(self._arrivals.restored(complete, self._tasks))
        finally:  # should one of them fail, the others are back nevertheless
            if back:
                self._claim(back)

    def _claim(self, tasks: list[Task]) -> None:
        """Commit a transaction that does nothing but say whose the tasks are, then begin to read.

        Should the claim fail, the tasks are not ours yet, whatever became of it: they are restored anew.
        """
        try:
            self._commit()
            self._hooks.on_step("claim")
            self._staging.begin()
            self._committer.commit(tasks, claim=True)
        except BaseException:
            for task in tasks:
                task.close()
            raise
        for task in tasks:
            self._take_on(task, "ours")

    def _take_on(self, task: Task, how: str) -> None:
        self._tasks[task.id] = task
        LOGGER.info(
            "task %s: %s, from %s", task.id, how, _told(task.committed.next_offsets), extra={"task": str(task.id)}
        )
        if task.status is TaskStatus.RUNNING:
            self._start(task)

    # ------------------------------------------------------------ commit

    def _touched(self) -> list[Task]:
        return [task for task in self._tasks.values() if task.is_touched]

    def _commit(self) -> None:
        touched = self._touched()
        if not touched:
            return
        self._staging.begin()
        self._committer.commit(touched)
        self._processing.committed(self._tasks)

    # ------------------------------------------------------------ trouble

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except DuplicateIdentity:
            raise
        except (OutcomeUnknown, Fenced) as exc:
            self._settle(exc)
        except (TransactionAborted, Retriable) as exc:
            self._discard(exc)
            if isinstance(exc, Retriable):
                self._clock.sleep(RETRY_PAUSE_S)

    def _settle(self, exc: Exception) -> None:
        """A commit may or may not have happened: resolve it, ask the log, and believe it."""
        self._hooks.on_doubt(exc)
        if self._place.is_given_up(exc):
            self._hooks.on_abort(exc)
            self._staging.reset()
            self._give_away(list(self._place.assigned))  # what was in doubt is judged by whoever restores the tasks
            return
        touched = self._touched()
        self._session.open()
        try:
            happened = was_committed(touched, self._committer, self._clock)
        except TransactionAborted as torn:
            # Neither whole nor absent: the tasks are restored from the log, whose cross-check names what is wrong.
            for task in touched:
                self._consumer.pause(task.sources)
                self._tasks.pop(task.id).close()
            self._discard(torn)
            return
        if happened:
            self._committer.apply(touched)
            self._processing.committed(self._tasks)
        else:
            self._discard(exc)

    def _discard(self, exc: Exception) -> None:
        """Back to the last commit, by the way a restart takes."""
        LOGGER.warning("transaction discarded: %s", exc, extra={"txn": self._session.number})
        self._hooks.on_abort(exc)
        refused = self._session.refused()
        if refused:
            self._processing.refused(refused, self._touched())
            self._makes.renew_bounds()
        self._processing.suspects.discarded()
        self._place.renew()
        for task in self._tasks.values():
            task.discard()
        self._staging.reset()
        if self._is_polling:
            # The poll may hold records from before the rewind: they would be processed, and then read again.
            self._must_rewind = True
        else:
            self._rewind()

    def _rewind(self) -> None:
        """Read again from the last commit on; to be called when no poll holds records."""
        self._must_rewind = False
        self._back_pressure.forget()
        for task in self._tasks.values():
            if task.status is TaskStatus.RUNNING:
                self._start(task)

    def _start(self, task: Task) -> None:
        """Read from the task's last commit on; what is given away in this very poll is not ours to seek."""
        self._back_pressure.forget(task.sources)
        self._processing.lost.forget(task.sources)
        self._intake.start({p: o for p, o in task.committed.next_offsets.items() if p in self._place.assigned})


def _told(offsets: Mapping[Partition, int]) -> str:
    return ", ".join(f"{topic}[{partition}]@{offset}" for (topic, partition), offset in offsets.items())
