"""What a worker tells of itself: metrics, displays and crash tests override what they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from penstock.batch import SourceBatch
from penstock.deadletter.envelope import Stage
from penstock.protocols import TransactionHooks
from penstock.record import Headers
from penstock.runtime.spent import Part
from penstock.state.checkpoint_rules import Reason
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten

Rebalance = Literal["assigned", "revoked", "lost"]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One batch of one task, processed and staged; whether it becomes visible, `on_commit` and `on_abort` tell.

    Attributes:
        topic: where it was read.
        partition: likewise.
        records: input records dealt with.
        filtered: of these, those that left nothing behind on purpose.
        dead_letters: of these, those that were set aside.
        outputs: {topic: records written}.
        duration_s: decoding, operators, state and encoding.
        parked: input records that were put away to be tried again; none of `records`.
        output_bytes: {topic: keys and values written}.
        late: records whose event time lies before the stream time that was reached in front of them.
        spent_s: of `duration_s`, what decoding, state and encoding took; the rest are the operators.
        source: the input records as they were read. Not to be kept: it holds payload.
        event_times_ms: of the records; empty where they have no time but Kafka's timestamp.
    """

    topic: str
    partition: int
    records: int
    filtered: int
    dead_letters: int
    outputs: dict[str, int]
    duration_s: float
    parked: int = 0
    output_bytes: Mapping[str, int] = field(default_factory=dict[str, int])
    late: int = 0
    spent_s: Mapping[Part, float] = field(default_factory=dict[Part, float])
    source: SourceBatch | None = None
    event_times_ms: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A task is back.

    Attributes:
        task: `group[partition]`.
        records: read from the changelog.
        changelog_bytes: of these, keys and values.
        checkpoint_bytes: keys and values that came from the checkpoint on disk.
        rejected: why a checkpoint was not used; None = it was, or the task has no state.
        duration_s: from the assignment on.
    """

    task: str
    records: int
    changelog_bytes: int
    checkpoint_bytes: int
    rejected: Reason | None
    duration_s: float


class WorkerHooks(TransactionHooks):
    """Told what a worker does. Hooks must return at once; what they raise ends the process.

    All are called on the worker's thread, but for the steps of writing a checkpoint (`checkpoint ...`).
    """

    def on_join(self, group: str, topics: Mapping[str, int], max_poll_interval_s: float) -> None:
        """The worker is about to join its group: {topic that it reads: partitions}."""

    def on_poll(self, records: int, duration_s: float) -> None:
        """A poll ended, with so many records."""

    def on_batch(self, batch: BatchReport) -> None:
        """A batch is staged in the open transaction."""

    def on_dead_letter(
        self, topic: str, partition: int, offset: int, stage: Stage, error: BaseException, headers: Headers = ()
    ) -> None:
        """An input record is staged as a dead letter. The error's text may hold payload, as its headers do."""

    def on_rebalance(self, kind: Rebalance, partitions: list[tuple[str, int]]) -> None:
        """Partitions came, are about to go, or are gone."""

    def on_restore(self, restore: RestoreReport) -> None:
        """A task's state is back and agrees with its offsets."""

    def on_checkpoint(self, task: str, outcome: CheckpointWritten | CheckpointFailed) -> None:
        """A checkpoint is on disk, or could not be written."""

    def on_back_pressure(self, partitions: int) -> None:
        """So many partitions are not fetched, since enough of them is buffered; told when the number has changed."""

    def on_doubt(self, error: Exception) -> None:
        """A commit was not answered, or its producer is fenced: the log will say whether it happened."""

    def on_wait(self, task: str, stage: Stage, error: BaseException, seconds: float, headers: Headers = ()) -> None:
        """A task stands still in front of a record that is tried again by itself after so many seconds.

        The error's text may hold payload, as the record's headers do; its class does not.
        """

    def on_park(
        self, topic: str, partition: int, offset: int, stage: Stage, error: BaseException, headers: Headers = ()
    ) -> None:
        """An input record failed and is parked, or stays so: it is tried again, and its task goes on meanwhile.

        Those that are parked only because one of their key is, have not failed. The error's text may hold payload, as
        the record's headers do; its class does not.
        """

    def on_breaker(self, task: str, seconds: float) -> None:
        """A circuit breaker has opened: too much of what the task does ends as dead letters. It pauses so long."""

    def on_stop(self, task: str, error: Exception) -> None:
        """A task stands still in front of a record, or at a lost position; an operator must act."""
