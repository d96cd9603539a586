"""Checkpoints of one task, written by another thread than the pipeline's loop."""

from __future__ import annotations

from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.state.checkpoint_file import CheckpointFile, CheckpointHeader, CheckpointLost, drain
from penstock.state.task_state import TaskState


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A checkpoint is durable.

    Attributes:
        header: what it covers.
        entries: written for it.
        size: of the file now, bytes.
        duration_s: with waiting for the disk.
        error: why the file could not be written anew though it was due; None = it was not due, or it was.
    """

    header: CheckpointHeader
    entries: int
    size: int
    duration_s: float
    error: OSError | None = None


@dataclass(frozen=True, slots=True)
class CheckpointFailed:
    """No checkpoint was written; the one before still counts unless `is_lost`. The next one brings what this lacked."""

    error: OSError
    is_lost: bool


class Checkpointer:
    """Takes what was committed since the last checkpoint and has it written.

    All methods are for the loop's thread and return at once, but `wait` and `close`.

    Args:
        file: the task's; touched by nobody else from now on.
        state: the task's; keeps account of what the file lacks.
        executor: runs one write at a time; several tasks may share it.
        clock: for durations.
    """

    def __init__(self, file: CheckpointFile, state: TaskState, executor: Executor, clock: Clock) -> None:
        self._file = file
        self._state = state
        self._executor = executor
        self._clock = clock
        self._running: Future[CheckpointWritten] | None = None
        self._taken: dict[bytes, bytes | None] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a checkpoint is being written, or its outcome was not asked for yet."""
        return self._running is not None

    def start(self, header: CheckpointHeader) -> None:
        """Begin to write the state as it is committed now, which is what `header` has to speak of.

        Raises:
            RuntimeError: one is being written (`is_busy`).
        """
        if self._running is not None:
            raise RuntimeError("a checkpoint was begun before the last one ended; please report this")
        self._taken = self._state.take_unsaved()
        self._running = self._executor.submit(_write, self._file, header, self._taken, self._clock)

    def outcome(self) -> CheckpointWritten | CheckpointFailed | None:
        """What became of the checkpoint begun last, once; None while there is nothing to tell."""
        if self._running is None or not self._running.done():
            return None
        running, self._running = self._running, None
        taken, self._taken = self._taken, {}
        try:
            return running.result()
        except OSError as err:
            is_lost = isinstance(err, CheckpointLost)
            if is_lost:
                self._file.wipe()
                self._state.everything_unsaved()
            else:
                self._state.return_unsaved(taken)
            return CheckpointFailed(err, is_lost)

    def wait(self, timeout_s: float) -> None:
        """Wait until `outcome` has something to tell, this long at most."""
        if self._running is not None:
            wait([self._running], timeout_s)

    def close(self) -> None:
        """Have a write that is under way given up, and wait until it is: for one block, or for the disk."""
        self._file.cancel()
        if self._running is not None:
            wait([self._running])


def _write(
    file: CheckpointFile, header: CheckpointHeader, changes: dict[bytes, bytes | None], clock: Clock
) -> CheckpointWritten:
    began_s = clock.monotonic_s()
    file.append(header, changes)
    entries = len(changes)
    drain(changes)
    error: OSError | None = None
    if file.is_due_for_compaction:
        try:
            file.compact()
        except CheckpointLost:
            raise
        except OSError as err:
            error = err  # the appended checkpoint is durable; only the file stays long
    return CheckpointWritten(header, entries, file.size, clock.monotonic_s() - began_s, error)
