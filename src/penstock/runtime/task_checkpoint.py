"""One task's checkpoint in the life of a worker: locked and read when the task comes back, then written every so often.

```
            load()             started()           when due             end known
 (locked) ─────────► (loaded) ───────────► resting ─────────► asking ─────────────► writing
                                              ▲                                        │
                                              └────────────────────────────────────────┘
```

A checkpoint says where the replay of the changelog is to go on. The changelog's last stable offset is asked for
*before* the state is taken: whatever lies below it was decided by then, and this thread, which commits, had been told.
So the state holds all of it, and replaying once more what came since changes nothing. The exact offset would take a
delivery callback for every commit, to save the replay of a few records at a restart.

Disk and brokers are waited for in the executor's thread; only `load`, `finish` and `close` wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from threading import Lock

from penstock.clock import Clock
from penstock.errors import PenstockError, ServerUnreachable
from penstock.runtime.hooks import WorkerHooks
from penstock.state.checkpoint_file import Checkpoint, CheckpointFile, CheckpointHeader
from penstock.state.checkpoint_rules import Expected, Rejected, load_checkpoint
from penstock.state.checkpointer import Checkpointer, CheckpointFailed
from penstock.state.commit_record import CommitRecord
from penstock.state.task_directory import TaskDirectory
from penstock.state.task_state import TaskState

_SLICE_S = 0.02
LOGGER = logging.getLogger("penstock.runtime")


class TaskCheckpoint:
    """A task's checkpoint; for the worker's thread.

    Args:
        task: for messages.
        directory: the task's, entered, which means locked; left by `close`.
        executor: runs one thing at a time, for all tasks of the worker.
        expected: asks Kafka what a checkpoint has to fit.
        changelog_end: asks Kafka for the last stable offset of the changelog partition.
        interval_s: how often to write.
        clock: time.
        hooks: told steps and outcomes.
    """

    def __init__(
        self,
        task: str,
        directory: TaskDirectory,
        executor: Executor,
        *,
        expected: Callable[[], Expected],
        changelog_end: Callable[[], int],
        interval_s: float,
        clock: Clock,
        hooks: WorkerHooks,
    ) -> None:
        self._task = task
        self._place = {"task": task}
        self._directory = directory
        self._executor = executor
        self._ask_expected = expected
        self._ask_end = changelog_end
        self._interval_s = interval_s
        self._clock = clock
        self._hooks = hooks
        self._file = CheckpointFile(directory.checkpoint, hooks.on_step)
        self._loading: Future[Checkpoint | Rejected] | None = None
        self._touching = Lock()
        self._is_closed = False
        self._expected: Expected | None = None
        self._checkpointer: Checkpointer | None = None
        self._asking: Future[int] | None = None
        self._due_at_s = 0.0
        self._begun: CheckpointHeader | None = None
        self._written: CheckpointHeader | None = None
        self._has_failed = False

    @property
    def covers(self) -> int | None:
        """The changelog offset from which on a restart with this checkpoint would replay; None without one."""
        return None if self._written is None else self._written.changelog_next_offset

    # ------------------------------------------------------------ coming back

    def load(self) -> Checkpoint | Rejected | None:
        """What the disk has, digest and all compared; None while it is being read. Waits for a moment."""
        if self._loading is None:
            self._hooks.on_step("load checkpoint")
            self._loading = self._executor.submit(self._load)
        wait([self._loading], _SLICE_S)
        if not self._loading.done():
            return None
        try:
            loaded = self._loading.result()
        except ServerUnreachable as exc:
            LOGGER.warning(
                "task %s: the brokers do not say what its checkpoint has to fit: %s", self._task, exc, extra=self._place
            )
            self._loading = None
            return None
        self._written = loaded.header if isinstance(loaded, Checkpoint) else None
        return loaded

    def _load(self) -> Checkpoint | Rejected:
        expected = self._expected = self._ask_expected()
        with self._touching:
            if self._is_closed:  # another process may have the directory by now
                return Rejected("absent", "the task was given away")
            return load_checkpoint(self._file, expected)

    def wipe(self) -> None:
        """The checkpoint led to a state that does not agree with the log: nothing on disk counts."""
        self._written = None
        self._file.wipe()

    # ------------------------------------------------------------ while the task runs

    def started(self, state: TaskState) -> None:
        """The task runs with this state, which keeps account of what the file lacks."""
        self._checkpointer = Checkpointer(self._file, state, self._executor, self._clock)
        self._due_at_s = self._clock.monotonic_s() + self._interval_s

    def step(self, commit: CommitRecord) -> None:
        """Do what is due; returns at once.

        Args:
            commit: the last one, which the state's committed entries are as of now.
        """
        checkpointer = self._checkpointer
        if checkpointer is None:
            return
        if self._asking is not None:
            if self._asking.done():
                self._begin(checkpointer, commit)
        elif checkpointer.is_busy:
            self._look(checkpointer)
        elif self._clock.monotonic_s() >= self._due_at_s:
            self._due_at_s = self._clock.monotonic_s() + self._interval_s
            if self._written is None or self._written.commit != commit:
                self._hooks.on_step("checkpoint")
                self._asking = self._executor.submit(self._ask_end)

    def finish(self, commit: CommitRecord, timeout_s: float) -> None:
        """Write what the file lacks, so that the next start finds everything; gives up after `timeout_s`."""
        checkpointer = self._checkpointer
        if checkpointer is None:
            return
        self._has_failed = False
        give_up_at_s = self._clock.monotonic_s() + timeout_s
        while not self._has_failed and (self._written is None or self._written.commit != commit):
            if self._clock.monotonic_s() > give_up_at_s:
                return
            if not (self._asking or checkpointer.is_busy):
                self._due_at_s = self._clock.monotonic_s()
            self.step(commit)
            if self._asking is not None:
                wait([self._asking], timeout_s)
            checkpointer.wait(timeout_s)

    def close(self) -> None:
        """Give up a write that is under way, let go of the directory. What was written before still counts."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        with self._touching:
            self._is_closed = True
        self._directory.__exit__(None, None, None)

    def _begin(self, checkpointer: Checkpointer, commit: CommitRecord) -> None:
        asking, self._asking = self._asking, None
        expected = self._expected
        if asking is None or expected is None:
            return
        try:
            end = asking.result()
        except PenstockError as exc:
            LOGGER.warning("task %s: no checkpoint this time: %s", self._task, exc, extra=self._place)
            self._has_failed = True
            return
        self._begun = CheckpointHeader(
            commit=commit,
            changelog_next_offset=end,
            topic_ids=dict(expected.topic_ids),
            written_ms=self._clock.now_ms(),
        )
        checkpointer.start(self._begun)

    def _look(self, checkpointer: Checkpointer) -> None:
        outcome = checkpointer.outcome()
        if outcome is None:
            return
        if isinstance(outcome, CheckpointFailed):
            self._has_failed = True
            if outcome.is_lost:
                self._written = None
            LOGGER.warning(
                "task %s: its checkpoint could not be written, which only makes the next start slower: %s",
                self._task,
                outcome.error,
                extra=self._place,
            )
        else:
            self._written = self._begun
        self._hooks.on_checkpoint(self._task, outcome)
