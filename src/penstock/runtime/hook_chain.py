"""Several hooks as one."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.deadletter.envelope import Stage
from penstock.record import Headers
from penstock.runtime.hooks import BatchReport, Rebalance, RestoreReport, WorkerHooks
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten
from penstock.transactions.hook_chain import TransactionHookChain


class HookChain(TransactionHookChain, WorkerHooks):
    """Tells each of them, in their order.

    Args:
        hooks: whom.
    """

    def __init__(self, *hooks: WorkerHooks) -> None:
        super().__init__(*hooks)
        self._hooks = hooks

    def on_join(self, group: str, topics: Mapping[str, int], max_poll_interval_s: float) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_join(group, topics, max_poll_interval_s)

    def on_poll(self, records: int, duration_s: float) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_poll(records, duration_s)

    def on_batch(self, batch: BatchReport) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_batch(batch)

    def on_dead_letter(
        self, topic: str, partition: int, offset: int, stage: Stage, error: BaseException, headers: Headers = ()
    ) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_dead_letter(topic, partition, offset, stage, error, headers)

    def on_rebalance(self, kind: Rebalance, partitions: list[tuple[str, int]]) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_rebalance(kind, partitions)

    def on_restore(self, restore: RestoreReport) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_restore(restore)

    def on_checkpoint(self, task: str, outcome: CheckpointWritten | CheckpointFailed) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_checkpoint(task, outcome)

    def on_back_pressure(self, partitions: int) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_back_pressure(partitions)

    def on_doubt(self, error: Exception) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_doubt(error)

    def on_wait(self, task: str, stage: Stage, error: BaseException, seconds: float, headers: Headers = ()) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_wait(task, stage, error, seconds, headers)

    def on_park(
        self, topic: str, partition: int, offset: int, stage: Stage, error: BaseException, headers: Headers = ()
    ) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_park(topic, partition, offset, stage, error, headers)

    def on_breaker(self, task: str, seconds: float) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_breaker(task, seconds)

    def on_stop(self, task: str, error: Exception) -> None:
        """Pass on."""
        for each in self._hooks:
            each.on_stop(task, error)
