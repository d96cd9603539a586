"""A task: one partition of one task group, its inputs, its state and its place in the log.

```
            restored()                 stop()
RESTORING ───────────────► RUNNING ───────────────► STOPPED   (its partitions stay assigned and paused)
    ▲                      │ │ ▲ ▲     wait()
    │                      │ │ │ └────────────────► WAITING   (likewise, until resume())
    │                      │ │ └── committed(), discarded(): still RUNNING, from the last commit
    └────── wiped ─────────┘ ┘
```

A task knows nothing of Kafka clients: it is given batches and says what is to be committed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec

from penstock.batch import SourceBatch
from penstock.runtime.breaker_state import BreakerState
from penstock.runtime.herald import Herald
from penstock.runtime.logic import Logic as Logic  # noqa: PLC0414 - what a task is made of is named with it
from penstock.runtime.merge import MergeBuffer, Partition
from penstock.runtime.parked import ParkedRecords
from penstock.runtime.savepoint import RecordFailed, RecordWaits
from penstock.runtime.spent import Part
from penstock.runtime.staged import OutputBatch, Staged
from penstock.runtime.stream_time import StreamTime
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.runtime.verdict import Attempts, Place, Verdict
from penstock.state import commit_record
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.commit_record import CommitRecord
from penstock.state.offset_metadata import OffsetMetadata
from penstock.state.task_state import TaskState

_NONE: Final[Mapping[Place, Verdict]] = {}


@dataclass(frozen=True, slots=True, order=True)
class TaskId:
    """Names a task; `str` gives `group[partition]`."""

    group: str
    partition: int

    def __str__(self) -> str:
        """As in logs and messages."""
        return f"{self.group}[{self.partition}]"


class TaskStatus(Enum):
    """Where a task is in its life; see the drawing above."""

    RESTORING = "restoring"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(slots=True)
class Progress:
    """How far a task is: in memory, or as committed.

    Attributes:
        next_offsets: {partition: next offset}, for every source partition.
        sequence: transactions of this task so far.
        owner_epoch: claims of this task so far.
        time: how far in event time.
        append_time_ms: Kafka's timestamp of the last record dealt with; None before the first.
        event_time_ms: event time of the same; None where it is not known.
        streams_begun: whether a record of a stream was processed; until then tables are read to their end first. It is
            committed, so a crash in between changes nothing in that. Without tables it means nothing.
    """

    next_offsets: dict[Partition, int]
    sequence: int = 0
    owner_epoch: int = 0
    time: StreamTime = field(default_factory=StreamTime)
    append_time_ms: int | None = None
    event_time_ms: int | None = None
    streams_begun: bool = True


@dataclass(frozen=True, slots=True)
class PreparedTask:
    """A task's part of a transaction: changelog entries, the commit record last; its offsets; its time marks."""

    keys: list[bytes | None]
    values: list[bytes | None]
    offsets: dict[Partition, tuple[int, str]]
    progress: Progress
    record: CommitRecord | None
    marks: list[OutputBatch] = field(default_factory=list[OutputBatch])


class Task:
    """A task that is restored.

    Args:
        task_id: its name.
        sources: its partitions, in the order that decides ties.
        logic: what it does.
        state: its state; None where it has no stores, and so no changelog.
        progress: as committed.
        writer: our `transactional.id`.
        topology: fingerprint.
        checkpoint: where the state is written to now and then; None = nowhere.
        tables: those of the sources that are tables.
        herald: writes time marks for the tasks behind its repartition topics; None where it writes no such topic.
    """

    def __init__(
        self,
        task_id: TaskId,
        sources: Sequence[Partition],
        logic: Logic,
        state: TaskState | None,
        progress: Progress,
        *,
        writer: str,
        topology: str,
        checkpoint: TaskCheckpoint | None = None,
        tables: Collection[Partition] = (),
        herald: Herald | None = None,
    ) -> None:
        self.id = task_id
        self.sources = tuple(sources)
        self.status = TaskStatus.RUNNING
        self.resume_at_s = 0.0
        self.breaker = BreakerState.CLOSED
        self.buffer = MergeBuffer(sources, tables)
        self.buffer.tables_first = not progress.streams_begun
        self.state = state
        self.in_hand: SourceBatch | None = None
        self.is_touched = False
        self._logic = logic
        self._committed = progress
        self._next_offsets = dict(progress.next_offsets)
        self._append_time_ms = progress.append_time_ms
        self._event_time_ms = progress.event_time_ms
        self._prepared: PreparedTask | None = None
        self._tables = tables
        self._writer = writer
        self._topology = topology
        self._checkpoint = checkpoint
        self._record: CommitRecord | None = None
        if checkpoint is not None and state is not None:
            checkpoint.started(state)
        self._herald = herald
        logic.time = progress.time

    @property
    def parked(self) -> ParkedRecords:
        """Its parked records."""
        return self._logic.parked

    @property
    def spent_s(self) -> Mapping[Part, float]:
        """Where the time of the batch in hand has gone."""
        return self._logic.spent.seconds

    @property
    def writer(self) -> str:
        """Our `transactional.id`."""
        return self._writer

    @property
    def committed(self) -> Progress:
        """How far the log is."""
        return self._committed

    @property
    def is_drained(self) -> bool:
        """Whether everything that is there is processed and committed."""
        return not (self.is_touched or len(self.buffer)) and all(self.buffer.end(p) is not None for p in self.sources)

    @property
    def next_offsets(self) -> Mapping[Partition, int]:
        """How far it is in memory: behind what was processed."""
        return self._next_offsets

    def run(
        self,
        max_records: int,
        verdicts: Mapping[Place, Verdict] = _NONE,
        attempts: Attempts | None = None,
    ) -> tuple[SourceBatch, Staged] | None:
        """Process the next batch in merge order; None while an input must be waited for, or there is nothing.

        Args:
            max_records: in the batch; 1 while there are verdicts.
            verdicts: on records that are not to be processed as usual.
            attempts: told before a record is touched; knows those that kill the process.

        Raises:
            RecordFailed: see `Logic.run_batch`; what was accepted before it counts as processed.
            RecordWaits: likewise.
        """
        self.in_hand = batch = self.buffer.next(max_records)
        if batch is None:
            return None
        self._logic.spent.begin()
        verdict = verdicts.get((batch.topic, batch.partition, batch.offsets[0]))
        if attempts is not None:
            verdict = verdict or attempts.verdict(batch)
            attempts.begin(batch)
        try:
            staged = self._staged(batch, verdict)
        except (RecordFailed, RecordWaits) as failed:
            self._processed(batch, failed.place, failed.staged)
            raise
        self._processed(batch, len(batch), staged)
        return batch, staged

    def retry(self, attempts: Attempts | None = None) -> tuple[SourceBatch, Staged] | None:
        """Try a parked record that is due, in a batch of its own; None = none is due.

        Args:
            attempts: as in `run`.

        Raises:
            RecordFailed: its policy is to stop.
        """
        self._logic.spent.begin()
        done = self._logic.retry(attempts)
        if done is not None:
            self.is_touched = True
        return done

    def _staged(self, batch: SourceBatch, verdict: Verdict | None) -> Staged:
        if verdict is None:
            return self._logic.run_batch(batch)
        is_hopeless = verdict.refused is not None or verdict.last_refusal is not None or verdict.deaths > 0
        staged = self._logic.set_aside(batch, verdict) if is_hopeless else self._logic.run_batch(batch)
        staged.form = verdict.form
        return staged

    def _processed(self, batch: SourceBatch, count: int, staged: Staged) -> None:
        """Note that the first `count` records of a batch are dealt with."""
        if count:
            self._next_offsets[batch.topic, batch.partition] = batch.offsets[count - 1] + 1
            self._append_time_ms = batch.timestamps_ms[count - 1]
            if staged.records:
                self._event_time_ms = staged.event_time_ms
            self.is_touched = True
            if (batch.topic, batch.partition) not in self._tables:
                self.buffer.tables_first = False

    def reach_end(self, partition: Partition, next_offset: int) -> bool:
        """A partition has no more now; whether that moved the task on: over control records behind all it has done."""
        self.buffer.mark_end(partition, next_offset)
        if self.buffer.buffered(partition) or next_offset <= self._next_offsets[partition]:
            return False
        self.is_touched = True
        return True

    def _next_offset(self, partition: Partition) -> int:
        """Behind what was processed, and behind the control records at the partition's end if nothing is in between."""
        processed, end = self._next_offsets[partition], self.buffer.end(partition)
        return processed if end is None or self.buffer.buffered(partition) else max(processed, end)

    def prepare(self, *, claim: bool = False) -> PreparedTask:
        """This task's part of the transaction.

        Args:
            claim: take ownership: the owner epoch goes up.
        """
        next_offsets = {partition: self._next_offset(partition) for partition in self._next_offsets}
        progress = Progress(
            next_offsets,
            sequence=self._committed.sequence + 1,
            owner_epoch=self._committed.owner_epoch + (1 if claim else 0),
            time=self._logic.time,
            append_time_ms=self._append_time_ms,
            event_time_ms=self._event_time_ms,
            streams_begun=not self.buffer.tables_first,
        )
        metadata = str(
            OffsetMetadata(
                sequence=progress.sequence,
                writer=self._writer,
                owner_epoch=progress.owner_epoch,
                append_time_ms=progress.append_time_ms,
                event_time_ms=progress.event_time_ms,
                checkpoint=None if self._checkpoint is None else self._checkpoint.covers,
                topology=self._topology,
                stream_time_ms=progress.time.now_ms,
            )
        )
        record: CommitRecord | None = None
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        if self.state is not None:
            changes = self.state.prepare()
            record = self._record_of(progress, changes.digest)
            keys = [*changes.keys, COMMIT_RECORD_KEY]
            values = [*changes.values, commit_record.encode(record)]
        offsets = {partition: (offset, metadata) for partition, offset in next_offsets.items()}
        self._prepared = PreparedTask(keys, values, offsets, progress, record, self._marks(progress, is_due=claim))
        return self._prepared

    def _marks(self, progress: Progress, *, is_due: bool) -> list[OutputBatch]:
        """What the tasks behind are to be told of our time; nothing if they know it already."""
        now_ms, stamp_ms = progress.time.now_ms, progress.append_time_ms
        if self._herald is None or now_ms is None or stamp_ms is None:
            return []
        if now_ms == self._committed.time.now_ms and not is_due:
            return []
        return self._herald.marks(now_ms, stamp_ms)

    def _record_of(self, progress: Progress, digest: int) -> CommitRecord:
        return CommitRecord(
            next_offsets={topic: offset for (topic, _), offset in progress.next_offsets.items()},
            sequence=progress.sequence,
            writer=self._writer,
            owner_epoch=progress.owner_epoch,
            stream_time_ms=progress.time.now_ms,
            streams_begun=progress.streams_begun,
            digest=digests.to_bytes(digest),
            topology=self._topology,
            clocks_ms=dict(progress.time.clocks) or msgspec.UNSET,
        )

    def apply(self) -> int:
        """What was prepared is committed: make it the committed state. Returns the state entries changed."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise RuntimeError(f"task {self.id}: applied without being prepared; please report this")
        self._committed = prepared.progress
        self._record = prepared.record
        self._next_offsets = dict(prepared.progress.next_offsets)
        self.is_touched = False
        return self.state.apply() if self.state is not None else 0

    def stop(self) -> None:
        """Stand still in front of a record that failed; what was processed before it is still to be committed."""
        self.status = TaskStatus.STOPPED
        self.buffer.clear()

    def wait(self, until_s: float) -> None:
        """Stand still in front of a record that is to be tried again at this time of the worker's monotonic clock."""
        self.status = TaskStatus.WAITING
        self.resume_at_s = until_s
        self.buffer.clear()

    def resume(self) -> None:
        """It is time; the task is to be read again from its last commit on."""
        self.status = TaskStatus.RUNNING

    def discard(self) -> dict[Partition, int]:
        """Back to the last commit; the positions from which to read again.

        A task that stopped, or waits, runs again if work before the failed record is lost with the transaction.
        """
        if self.is_touched:
            self.status = TaskStatus.RUNNING
        self._prepared = None
        self.buffer.clear()
        self.buffer.tables_first = not self._committed.streams_begun
        self._next_offsets = dict(self._committed.next_offsets)
        self._logic.time = self._committed.time
        self._append_time_ms, self._event_time_ms = self._committed.append_time_ms, self._committed.event_time_ms
        self.is_touched = False
        if self.state is not None:
            self.state.discard()
        return dict(self._next_offsets)

    def save_when_due(self) -> None:
        """Have the committed state written to disk if it is time; returns at once."""
        if self._checkpoint is not None and self._record is not None:
            self._checkpoint.step(self._record)

    def save(self, timeout_s: float) -> None:
        """Write the committed state to disk, so that the next start finds all of it; gives up after `timeout_s`."""
        if self._checkpoint is not None and self._record is not None:
            self._checkpoint.finish(self._record, timeout_s)

    def close(self) -> None:
        """Close the processors and the checkpoint."""
        try:
            self._logic.close()
        finally:
            if self._checkpoint is not None:
                self._checkpoint.close()
