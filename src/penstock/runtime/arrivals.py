"""Tasks on their way to this worker: those that come back as they were, and those that are restored.

```
 partitions assigned ──► suspended here before? ──yes──► still ours as the offsets say ──► goes on
                                 │ no                            │ no
                                 ▼                               ▼
                              restored, beside the takeover of what a dead owner left open ──► claimed
```

Nothing here waits, so that the tasks that are here go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from penstock.clock import Clock
from penstock.runtime.checkpoints import CheckpointHeld
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.restore import LOGGER
from penstock.runtime.restores import Restores
from penstock.runtime.suspended import Suspended
from penstock.runtime.takeover import Takeover
from penstock.runtime.task import Task, TaskId
from penstock.runtime.tasks import Tasks


class Arrivals:
    """Those that are not here yet.

    Args:
        tasks: makes tasks.
        consumer: the group member.
        takeover: ends what dead workers left open; None = it is left to its time-outs.
        clock: time.
        hooks: told of restores.
        max_restores: at the same time; each has a reader of its own.
    """

    def __init__(
        self,
        tasks: Tasks,
        consumer: Member,
        takeover: Takeover | None,
        clock: Clock,
        hooks: WorkerHooks,
        max_restores: int,
    ) -> None:
        self._max_restores = max_restores
        self._makes = tasks
        self._consumer = consumer
        self._takeover = takeover
        self._hooks = hooks
        self._restores = Restores(clock, hooks)
        self._suspended = Suspended(tasks.stable_offsets, clock)

    def __len__(self) -> int:
        """How many tasks are expected."""
        return len(self._restores) + len(self._suspended)

    @property
    def is_at_work(self) -> bool:
        """Whether there is something to do soon, also for readers of what a dead worker has written."""
        return len(self) > 0 or (self._takeover is not None and self._takeover.is_at_work)

    @property
    def progress(self) -> dict[TaskId, tuple[int, int] | None]:
        """Of those that are restored; see `Restore.progress`."""
        return self._restores.progress

    # ------------------------------------------------------------ partitions that come and go

    def assigned(self, assigned: set[Partition]) -> None:
        """The assignment is known.

        Raises:
            ConfigurationError: it tears a task, and is final.
        """
        if self._consumer.is_eager:
            self._suspended.keep(self._makes.complete(assigned))
            self._makes.check(assigned)

    def suspend(self, task: Task) -> None:
        """Keep a task that may come back."""
        self._suspended.put(task)

    def give_away(self, assigned: set[Partition], *, may_come_back: bool) -> None:
        """Drop what is not wholly ours any more."""
        if not may_come_back:
            self._suspended.keep(())
        self._restores.give_away(assigned)

    # ------------------------------------------------------------ coming

    def returned(self, complete: Collection[TaskId]) -> Iterator[Task]:
        """Those of these tasks that were here before and go on as they are."""
        return self._suspended.step(complete)

    def restored(self, complete: Mapping[TaskId, tuple[Partition, ...]], here: Collection[TaskId]) -> Iterator[Task]:
        """Do a little for each of these tasks that is not here; those that are restored, to be claimed.

        Raises:
            OperatorMustDecide: see `Restore.step`; the others may be stepped again.
        """
        for task_id, sources in complete.items():
            if any(task_id in known for known in (here, self._restores, self._suspended)):
                continue
            if len(self._restores) >= self._max_restores:
                break
            try:
                restore = self._makes.restore(task_id, sources)
            except CheckpointHeld as held:
                LOGGER.debug("task %s: %s", task_id, held)
                continue
            self._hooks.on_step("restore")
            self._restores.begin(task_id, sources, restore)
            if self._takeover is not None:
                self._takeover.begin()
        if self._takeover is not None and self.is_at_work:
            self._takeover.step(self._restores.under_way, self._consumer.group_metadata().member_id)
        for task_id, sources, restored in self._restores.step():
            if self._takeover is not None:
                self._takeover.note(restored.writers)  # before the claim makes the offsets forget them
            yield self._makes.start(task_id, sources, restored)

    def close(self) -> None:
        """Drop all of them, whatever one of them raises."""
        try:
            self._restores.close()
        finally:
            try:
                self._suspended.close()
            finally:
                if self._takeover is not None:
                    self._takeover.close()
