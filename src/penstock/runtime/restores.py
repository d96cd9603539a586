"""The tasks that are on their way back: a slice of each between two polls, with a line on progress now and then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.runtime.hooks import RestoreReport, WorkerHooks
from penstock.runtime.merge import Partition
from penstock.runtime.restore import LOGGER, Restore, Restored
from penstock.runtime.task import TaskId

_LINE_EVERY_S = 5.0


@dataclass(slots=True)
class _Running:
    restore: Restore
    sources: tuple[Partition, ...]
    began_at_s: float
    told_at_s: float


class Restores:
    """Restores under way.

    Args:
        clock: time.
        hooks: told of each that ends.
    """

    def __init__(self, clock: Clock, hooks: WorkerHooks) -> None:
        self._clock = clock
        self._hooks = hooks
        self._running: dict[TaskId, _Running] = {}

    def __len__(self) -> int:
        """How many."""
        return len(self._running)

    def __contains__(self, task_id: object) -> bool:
        """Whether this task is on its way back."""
        return task_id in self._running

    @property
    def under_way(self) -> list[Restore]:
        """Those that are not back yet."""
        return [running.restore for running in self._running.values()]

    @property
    def progress(self) -> dict[TaskId, tuple[int, int] | None]:
        """How far each is; see `Restore.progress`."""
        return {task_id: running.restore.progress for task_id, running in self._running.items()}

    def begin(self, task_id: TaskId, sources: tuple[Partition, ...], restore: Restore) -> None:
        """Take one on."""
        now_s = self._clock.monotonic_s()
        self._running[task_id] = _Running(restore, sources, now_s, now_s)

    def step(self) -> Iterator[tuple[TaskId, tuple[Partition, ...], Restored]]:
        """Do a little of each; those that are back, as they come.

        Raises:
            OperatorMustDecide: see `Restore.step`; the others may be stepped again.
        """
        for task_id, running in list(self._running.items()):
            restored = running.restore.step()
            if restored is None:
                self._tell(task_id, running)
                continue
            running.restore.close()
            del self._running[task_id]
            self._report(task_id, running, restored)
            yield task_id, running.sources, restored

    def give_away(self, assigned: set[Partition]) -> None:
        """Drop those that have lost a partition."""
        self._drop(t for t, running in self._running.items() if not assigned.issuperset(running.sources))

    def close(self) -> None:
        """Drop all."""
        self._drop(self._running)

    def _drop(self, task_ids: Iterable[TaskId]) -> None:
        for task_id in list(task_ids):
            self._running.pop(task_id).restore.close()

    def _tell(self, task_id: TaskId, running: _Running) -> None:
        now_s = self._clock.monotonic_s()
        progress = running.restore.progress
        if progress is None or now_s - running.told_at_s < _LINE_EVERY_S:
            return
        running.told_at_s = now_s
        done, total = progress
        left_s = (now_s - running.began_at_s) * (total - done) / done if done else None
        LOGGER.info(
            "task %s: restoring, %d %% (%s of %s offsets of its changelog)%s",
            task_id,
            100 * done // total if total else 100,
            f"{done:,}",
            f"{total:,}",
            "" if left_s is None else f", about {left_s:.0f} s left",
            extra={"task": str(task_id)},
        )

    def _report(self, task_id: TaskId, running: _Running, restored: Restored) -> None:
        duration_s = self._clock.monotonic_s() - running.began_at_s
        if restored.state is not None:
            LOGGER.info(
                "task %s: restored %s keys in %.1f s; %s bytes from its checkpoint%s, %s bytes (%s records) from its "
                "changelog",
                task_id,
                f"{len(restored.state.committed):,}",
                duration_s,
                f"{restored.checkpoint_bytes:,}",
                f" ({restored.rejected})" if restored.rejected else "",
                f"{restored.changelog_bytes:,}",
                f"{restored.records:,}",
                extra={"task": str(task_id)},
            )
        self._hooks.on_restore(
            RestoreReport(
                str(task_id),
                restored.records,
                restored.changelog_bytes,
                restored.checkpoint_bytes,
                restored.rejected,
                duration_s,
            )
        )
