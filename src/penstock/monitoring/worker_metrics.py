"""Counts what a worker does, by its hooks. All of it runs on the worker's thread but `families`, which any may call.

Attempts, errors and retries move at once; what became visible with a commit is counted in `effects.py`.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from penstock.clock import Clock
from penstock.deadletter.envelope import Stage
from penstock.errors import Retriable
from penstock.monitoring import catalogue
from penstock.monitoring.abort_reason import abort_reason
from penstock.monitoring.client_metrics import ClientMetrics
from penstock.monitoring.effects import Effects
from penstock.monitoring.error_name import NOT_ANSWERED, answer_name, error_name
from penstock.monitoring.exposition import Exemplar, Family, one
from penstock.monitoring.instruments import Counter, Histogram
from penstock.monitoring.parked_families import parked_families
from penstock.monitoring.process import process_families
from penstock.monitoring.restore_pace import RestorePace
from penstock.monitoring.schema_metrics import SchemaMetrics
from penstock.monitoring.task_families import Saved, checkpoint_families, task_families
from penstock.monitoring.task_view import Worker, WorkerView, view_of
from penstock.monitoring.trace import exemplar
from penstock.record import Headers
from penstock.runtime.hooks import BatchReport, Rebalance, RestoreReport, WorkerHooks
from penstock.runtime.lost_positions import PositionLost
from penstock.runtime.savepoint import RecordFailed
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten

_VIEW_EVERY_S: Final = 1.0
_TIMED_STEPS: Final = {
    "produce": "produce",
    "changelog": "changelog",
    "marks": "produce",
    "flush": "flush",
    "send offsets": "offsets",
    "commit": "commit",
}
_ENDS_A_STEP: Final = frozenset({"begin", "process", "metadata", "committed", "poll", "claim"})


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker counts.

    Attributes:
        pipeline: its name.
        cluster: as the configuration names it.
        version: of penstock.
        commit: of the project; empty where nobody says.
        librdkafka: its version.
        objective_s: a time lag above this hurts users; None = there is no objective.
        checkpoint_interval_s: how often state is to be written to disk.
    """

    pipeline: str
    cluster: str
    version: str
    commit: str
    librdkafka: str
    objective_s: float | None
    checkpoint_interval_s: float


class WorkerMetrics(WorkerHooks):
    """The metrics of one worker.

    Args:
        place: which.
        clock: time.

    Attributes:
        beside: told as well; any thread may ask.
        clients: what Kafka's client tells of the worker's consumer and producer.
        schemas: what schemas cost it.
        view: the tasks as they were a moment ago.
        group: the consumer group; empty before it is joined.
        last_poll_s: on the monotonic clock; None before the first.
        last_poll_ms: likewise, since 1970 UTC; 0 before the first.
        max_poll_interval_s: 0 before the group is joined.
        last_abort: (milliseconds since 1970 UTC, why) of the last discarded transaction; None before the first.
        open_since_ms: when the open transaction began; None while none is open.
        waits_for_kafka: whether the loop asks what became of a commit, or wants a producer anew, and has not polled
            since; neither goes on for ever.
    """

    def __init__(self, place: Place, clock: Clock) -> None:
        self._place, self._clock = place, clock
        name = place.pipeline
        self.clients, self.schemas = ClientMetrics(name, clock), SchemaMetrics(name, clock)
        self._effects = Effects(name, place.objective_s)
        self._attempted = Counter(catalogue.RECORDS_ATTEMPTED, name)
        self._errors = Counter(catalogue.ERRORS, name)
        self._retries = Counter(catalogue.RETRIES, name)
        self._stages = Histogram(catalogue.STAGE_DURATION, name)
        self._sizes = Histogram(catalogue.TRANSACTION_RECORDS, name)
        self._transactions = Counter(catalogue.TRANSACTIONS, name)
        self._doubts = Counter(catalogue.TRANSACTIONS_IN_DOUBT, name)
        self._aborts = Counter(catalogue.TRANSACTION_ABORTS, name)
        self._durations = Histogram(catalogue.TRANSACTION_DURATION, name)
        self._rotations = Counter(catalogue.PRODUCER_ROTATIONS, name)
        self._rebalances = Counter(catalogue.REBALANCES, name)
        self._rebalance_durations = Histogram(catalogue.REBALANCE_DURATION, name)
        self._restore_durations = Histogram(catalogue.RESTORE_DURATION, name)
        self._checkpoints = Counter(catalogue.CHECKPOINTS, name)
        self._checkpoint_durations = Histogram(catalogue.CHECKPOINT_DURATION, name)
        self._instruments = (
            *self._effects.instruments, self._attempted, self._errors, self._retries, self._stages, self._sizes,
            self._transactions, self._doubts, self._aborts, self._durations, self._rotations, self._rebalances,
            self._rebalance_durations, self._restore_durations, self._checkpoints, self._checkpoint_durations,
        )  # fmt: skip
        # What alerts look at is there from the start: the first step of a counter is invisible if it is born with it.
        for outcome in ("committed", "aborted", "fenced"):
            self._transactions.add(0, outcome)
        for reason in catalogue.ABORTS:
            self._aborts.add(0, reason)
        for call in ("offsets", "commit"):
            self._retries.add(0, call, NOT_ANSWERED)
        self._doubts.add(0)
        self._rotations.add(0)
        self._worker: Worker | None = None
        self.view = WorkerView()
        self._pace = RestorePace()
        self.group = ""
        self._topics: Mapping[str, int] = {}
        self._assigned: frozenset[tuple[str, int]] = frozenset()
        self.max_poll_interval_s = 0.0
        self.last_poll_s: float | None = None
        self.last_poll_ms = 0
        self._last_commit_ms = 0
        self.last_abort: tuple[int, str] | None = None
        self._view_due_s = 0.0
        self._step = self._timed = ""
        self._timed_since_s = 0.0
        self._began_s: float | None = None
        self.open_since_ms: int | None = None
        self.waits_for_kafka = False
        self._moving_since_s: float | None = None
        self._checkpoint_sizes: dict[str, int] = {}
        self._saved: dict[str, Saved] = {}
        self.beside: Callable[[], Iterable[Family]] = tuple
        self._paused = 0

    def watch(self, worker: Worker) -> None:
        """Whose tasks are told; from its thread."""
        self._worker = worker

    # ------------------------------------------------------------ hooks: work

    def on_join(self, group: str, topics: Mapping[str, int], max_poll_interval_s: float) -> None:
        """Known from now on."""
        self.group, self._topics, self.max_poll_interval_s = group, dict(topics), max_poll_interval_s
        self._effects.expect(topics)
        for topic in topics:
            self._attempted.add(0, topic)

    def on_poll(self, records: int, duration_s: float) -> None:
        """The loop turns."""
        del records
        self._stages.observe(duration_s, "poll")
        self.last_poll_s = self._clock.monotonic_s()
        self.last_poll_ms = self._clock.now_ms()
        self.waits_for_kafka = False
        if self._worker is not None and self.last_poll_s >= self._view_due_s:
            self._view_due_s = self.last_poll_s + _VIEW_EVERY_S
            self._look(self._worker)

    def on_batch(self, batch: BatchReport) -> None:
        """Attempted now, committed later. Its records are with the producer, and what comes next is no part of that."""
        if self._timed:
            self._end_step(self._clock.monotonic_s())
        self._attempted.add(batch.records + batch.parked, batch.topic)
        left_s = batch.duration_s
        for part, seconds in batch.spent_s.items():
            self._stages.observe(seconds, part)
            left_s -= seconds
        self._stages.observe(max(0.0, left_s), "process")
        self._effects.batch(batch)

    def on_dead_letter(
        self, topic: str, partition: int, offset: int, stage: Stage, error: BaseException, headers: Headers = ()
    ) -> None:
        """The error is one now; the dead letter is one with the commit."""
        del partition, offset
        self._effects.dead_letter(topic, stage, self._failed(stage, error, headers))

    def on_wait(self, task: str, stage: Stage, error: BaseException, seconds: float, headers: Headers = ()) -> None:
        """A record failed, and is tried again where it stands."""
        del task, seconds
        self._failed(stage, error, headers)
        self._retries.add(1, "record", error_name(error))
        self._view_due_s = 0.0

    def on_park(
        self, topic: str, partition: int, offset: int, stage: Stage, error: BaseException, headers: Headers = ()
    ) -> None:
        """A record failed, and is tried again beside the others."""
        del topic, partition, offset
        self._failed(stage, error, headers)
        self._retries.add(1, "parked", error_name(error))

    def on_retry(self, call: str, error: Retriable) -> None:
        """Once more."""
        self._retries.add(1, call, answer_name(error))

    def on_back_pressure(self, partitions: int) -> None:
        """Enough is buffered, or not any more."""
        self._paused = partitions

    def on_stop(self, task: str, error: Exception) -> None:
        """A task stands still."""
        del task
        if isinstance(error, RecordFailed):
            self._failed(error.stage, error.error, error.headers)
        elif isinstance(error, PositionLost):
            self._failed("position", error, ())
        self._view_due_s = 0.0

    def on_breaker(self, task: str, seconds: float) -> None:
        """A task pauses; whoever asks is told at once."""
        del task, seconds
        self._view_due_s = 0.0

    def _failed(self, stage: str, error: BaseException, headers: Headers) -> Exemplar | None:
        """Count it; the trace of the record, where it has one."""
        name, traced = error_name(error), exemplar(headers, 1.0, self._clock.now_ms())
        self._errors.add(1, stage, name)
        self._errors.exemplify(traced, stage, name)
        self.schemas.failed(error)
        return traced

    # ------------------------------------------------------------ hooks: transactions

    def on_step(self, step: str) -> None:
        """Time the steps of a transaction.

        Those of a checkpoint come from another thread and are not for here; a commit record is a part of the changelog.
        """
        if step.startswith("checkpoint") or step == "commit record":
            return
        self._step = step
        part = _TIMED_STEPS.get(step, "")
        if part or self._timed:  # nothing else looks at the clock: there are several steps to each batch
            now_s = self._clock.monotonic_s()
            if part or step in _ENDS_A_STEP:
                self._end_step(now_s)
            self._timed, self._timed_since_s = part, now_s
        if step == "begin":
            self._began_s, self.open_since_ms = self._clock.monotonic_s(), self._clock.now_ms()
        elif step == "committed":
            self._ended("committed")

    def _end_step(self, now_s: float) -> None:
        if self._timed:
            self._stages.observe(now_s - self._timed_since_s, self._timed)
            self._timed = ""

    def on_commit(self, records: int, dead_letters: int) -> None:
        """What was done is visible."""
        now_ms = self._clock.now_ms()
        self._ended("committed")  # a commit in doubt that the log has confirmed
        self._transactions.add(1, "committed")
        self._sizes.observe(records + dead_letters)
        self._effects.commit(now_ms)
        self._last_commit_ms = now_ms
        if self._moving_since_s is not None and records:
            self._rebalance_durations.observe(self._clock.monotonic_s() - self._moving_since_s)
            self._moving_since_s = None

    def on_abort(self, error: Exception) -> None:
        """What was done is gone, and was attempted all the same."""
        reason = abort_reason(error, self._step)
        self._effects.discard()
        self._transactions.add(1, "fenced" if reason == "fenced" else "aborted")
        self._aborts.add(1, reason)
        self.last_abort = (self._clock.now_ms(), reason)
        self.waits_for_kafka = True
        self._ended("aborted")

    def on_doubt(self, error: Exception) -> None:
        """The log is asked."""
        del error
        self._doubts.add(1)
        self.waits_for_kafka = True

    def on_rotation(self, reason: str) -> None:
        """The producer is replaced."""
        del reason
        self._rotations.add(1)

    def _ended(self, outcome: str) -> None:
        if self._began_s is not None:
            self._durations.observe(self._clock.monotonic_s() - self._began_s, outcome)
        self._began_s = self.open_since_ms = None

    # ------------------------------------------------------------ hooks: partitions and state

    def on_rebalance(self, kind: Rebalance, partitions: list[tuple[str, int]]) -> None:
        """What goes is told no more from this moment on."""
        self._rebalances.add(1, kind)
        if kind == "assigned":
            self._assigned = self._assigned.union(partitions)
            self._pace.assigned(self._clock.monotonic_s())
        else:
            self._assigned = self._assigned.difference(partitions)
            self.view = self.view.without(partitions)
            if partitions and self._moving_since_s is None:
                self._moving_since_s = self._clock.monotonic_s()
        self._view_due_s = 0.0

    def on_restore(self, restore: RestoreReport) -> None:
        """A task is back."""
        self._restore_durations.observe(restore.duration_s)

    def on_checkpoint(self, task: str, outcome: CheckpointWritten | CheckpointFailed) -> None:
        """A checkpoint is on disk, or is not."""
        if isinstance(outcome, CheckpointFailed):
            self._checkpoints.add(1, "failed")
            return
        self._checkpoints.add(1, "written")
        self._checkpoint_durations.observe(outcome.duration_s)
        self._checkpoint_sizes = {**self._checkpoint_sizes, task: outcome.size}
        self._saved = {**self._saved, task: (self._clock.now_ms(), outcome.header.commit.sequence)}

    def _look(self, worker: Worker) -> None:
        view = view_of(worker)
        self.view = replace(view, left_s=self._pace.left_s(view.restoring, self._clock.monotonic_s()))
        sequences = {str(task.id): task.sequence for task in self.view.tasks if task.stores is not None}
        now_ms = self._clock.now_ms()
        # Swapped, never changed: another thread may be reading them.
        self._checkpoint_sizes = {task: size for task, size in self._checkpoint_sizes.items() if task in sequences}
        self._saved = {task: self._saved.get(task, (now_ms, now)) for task, now in sequences.items()}

    # ------------------------------------------------------------ told

    def families(self) -> Iterator[Family]:
        """Everything, as of now; any thread may ask."""
        place, name = self._place, self._place.pipeline
        yield one(catalogue.BUILD_INFO, 1, name, place.version, place.commit, place.librdkafka)
        if self.group:
            yield one(catalogue.GROUP_INFO, 1, name, place.cluster, self.group, "read_committed")
        for instrument in self._instruments:
            yield instrument.family()
        yield one(catalogue.TRANSACTION_OPEN, (self.open_since_ms or 0) / 1000, name)
        yield one(catalogue.LAST_POLL, self.last_poll_ms / 1000, name)
        yield one(catalogue.LAST_COMMIT, self._last_commit_ms / 1000, name)
        yield one(catalogue.MAX_POLL_INTERVAL, self.max_poll_interval_s, name)
        yield one(catalogue.PAUSED_PARTITIONS, self._paused, name)
        yield one(catalogue.CHECKPOINT_INTERVAL, place.checkpoint_interval_s, name)
        if place.objective_s is not None:
            yield one(catalogue.SLO_TIME_LAG, place.objective_s, name)
        yield from self._of_partitions()
        yield from self.clients.families(is_idle=self.open_since_ms is None)
        yield from self.schemas.families()
        yield from self.beside()
        yield from process_families()

    @property
    def is_out_of_touch(self) -> bool:
        """Whether the loop has stood still for so long that the group has given its partitions away."""
        last_s = self.last_poll_s
        return last_s is not None and self._clock.monotonic_s() - last_s > self.max_poll_interval_s > 0

    @property
    def is_first(self) -> bool:
        """Whether of all workers this is the one to tell what is told once: it has the first partition of all."""
        return not self.is_out_of_touch and bool(self._topics) and (min(self._topics), 0) in self._assigned

    @property
    def unclaimed(self) -> int:
        """Partitions that are ours and whose task is not here yet, as far as the newest view goes."""
        here = {(each.topic, each.partition) for task in self.view.tasks for each in task.inputs}
        return len(self._assigned - here)

    def _of_partitions(self) -> Iterator[Family]:
        name, now_ms = self._place.pipeline, self._clock.now_ms()
        assigned = Tally(topic for topic, _ in self._assigned)
        yield Family(catalogue.EXPECTED_PARTITIONS, [((name, topic), n) for topic, n in self._topics.items()])
        if self.is_out_of_touch:
            return
        yield Family(catalogue.ASSIGNED_PARTITIONS, [((name, topic), assigned[topic]) for topic in self._topics])
        view = self.view
        yield from task_families(view, name, now_ms)
        yield from parked_families(view, name)
        yield from checkpoint_families(view, self._checkpoint_sizes, self._saved, name, now_ms)
