"""The checkpoints of a worker's tasks: where they lie, what they have to fit, and the one thread that writes them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from penstock.clock import Clock
from penstock.errors import Retriable
from penstock.runtime.clients import TopicAdmin
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.merge import Partition
from penstock.runtime.task import TaskId
from penstock.runtime.task_checkpoint import LOGGER, TaskCheckpoint
from penstock.state.checkpoint_rules import Expected
from penstock.state.task_directory import TaskDirectory

ASK_BUDGET_S = 10.0
"""So long the brokers are asked for what a checkpoint has to fit."""
_ONE_DAY_MS = 24 * 3_600_000


def one_thread() -> Executor:
    """What waits for disk and brokers, so that the worker's loop does not."""
    return ThreadPoolExecutor(1, "penstock-checkpoint")


class CheckpointHeld(Retriable):
    """Another process of this machine has not let go of a task that it has lost."""


class Checkpoints:
    """Makes a task's checkpoint when the task comes back.

    Args:
        admin: asks the brokers; used by the executor's thread only.
        executor: runs one thing at a time; shut down by `close`.
        state_directory: of this machine; its workers share it, so that a task finds its checkpoint whichever has it.
        group: the consumer group's name.
        topology: fingerprint.
        interval_s: how often to write.
        clock: time.
        hooks: told steps and outcomes.
        patience_s: how long to wait for another process of this machine to let go of a task that it has lost. An eager
            rebalance tells both at once; in others the owner before has let go when the next one hears of it.
    """

    def __init__(
        self,
        admin: TopicAdmin,
        executor: Executor,
        *,
        state_directory: Path,
        group: str,
        topology: str,
        interval_s: float,
        clock: Clock,
        hooks: WorkerHooks,
        patience_s: float = 0.0,
    ) -> None:
        self._patience_s = patience_s
        self._held_since_s: dict[TaskId, float] = {}
        self._admin = admin
        self._state_directory = state_directory
        self._group = group
        self._topology = topology
        self._interval_s = interval_s
        self._clock = clock
        self._hooks = hooks
        self._executor = executor

    def open(self, task_id: TaskId, changelog: str, sources: Sequence[Partition]) -> TaskCheckpoint | None:
        """The task's checkpoint, locked; None where another process of this machine has it and keeps it.

        Raises:
            CheckpointHeld: it has it, and will let go of it soon; ask again.
            ConfigurationError: the state directory lies on a network file system.
        """
        directory = TaskDirectory(self._state_directory, f"{self._group}.{task_id.group}.{task_id.partition}")
        try:
            directory.__enter__()
        except Retriable as held:
            now_s = self._clock.monotonic_s()
            if now_s - self._held_since_s.setdefault(task_id, now_s) < self._patience_s:
                raise CheckpointHeld(str(held)) from held
            del self._held_since_s[task_id]
            LOGGER.warning(
                "task %s: restored without a checkpoint, and none is written: %s",
                task_id,
                held,
                extra={"task": str(task_id)},
            )
            return None
        self._held_since_s.pop(task_id, None)
        partition: Partition = (changelog, task_id.partition)
        topics = sorted({changelog, *(topic for topic, _ in sources)})
        return TaskCheckpoint(
            str(task_id),
            directory,
            self._executor,
            expected=lambda: self._expected(changelog, topics),
            changelog_end=lambda: self._admin.end_offsets([partition], "read_committed")[partition],
            interval_s=self._interval_s,
            clock=self._clock,
            hooks=self._hooks,
        )

    def close(self) -> None:
        """Let the thread end; the tasks' checkpoints are closed by then."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _expected(self, changelog: str, topics: Sequence[str]) -> Expected:
        config = self._admin.topic_config([changelog])[changelog]
        return Expected(
            topology=self._topology,
            topic_ids=self._admin.topic_ids(topics),
            max_age_ms=int(config.get("delete.retention.ms", _ONE_DAY_MS)),
            now_ms=self._clock.now_ms(),
        )
