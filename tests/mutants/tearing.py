"""Breakages of the one transaction: a part of the work is committed without the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from penstock.batch import SourceBatch
from penstock.kafka.client import Connection
from penstock.kafka.producer import IdempotentProducer
from penstock.protocols import InputOffsets
from penstock.runtime.commit import Committer
from penstock.runtime.merge import Partition
from penstock.runtime.staged import DeadRecord
from penstock.runtime.staging import Staging
from penstock.runtime.task import PreparedTask, Task
from penstock.runtime.worker import Worker
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.producer import SimulatedProducer
from penstock.testing.history import Kind
from penstock.transactions.session import TransactionSession
from tests.mutants.mutant import mutant

Patches = pytest.MonkeyPatch


def beside(producer: Any) -> Callable[..., None]:
    """Writes at once, outside of any transaction, where this producer writes."""
    return in_memory(producer.cluster) if isinstance(producer, SimulatedProducer) else on_a_broker(producer._producer)


def in_memory(cluster: SimulatedCluster) -> Callable[..., None]:
    def produce(
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Any] | None = None,
        timestamps_ms: Sequence[int] | None = None,
    ) -> None:
        for n, (key, value) in enumerate(zip(keys, values, strict=True)):
            number = -1 if partitions is None else partitions[n]
            cluster.append(
                topic,
                key,
                value,
                partition=number if number >= 0 else None,
                headers=() if headers is None else headers[n],
                timestamp_ms=None if timestamps_ms is None else timestamps_ms[n] or None,
            )

    return produce


def on_a_broker(client: Any) -> Callable[..., None]:
    brokers = client.list_topics(timeout=10).brokers.values()
    servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def produce(topic: str, *columns: Sequence[bytes | None], **more: Any) -> None:
        plain = IdempotentProducer(Connection(servers), "beside")
        plain.produce(topic, *columns, **more)
        plain.flush(30.0)
        plain.close()

    return produce


@mutant(
    "no transaction",
    "writes outputs, state and dead letters outside of any transaction; only its offsets are in one",
    Kind.DUPLICATE,
    Kind.TORN,
    on_brokers=True,
)
def _(patches: Patches) -> None:
    opened = TransactionSession.open

    def plain(self: TransactionSession, budget_s: float | None = None) -> None:
        opened(self, budget_s)
        producer: Any = self.producer
        producer.produce = beside(producer)

    patches.setattr(TransactionSession, "open", plain)


@mutant(
    "offsets outside", "commits the offsets beside the transaction, before it", Kind.TORN, Kind.LOST, on_brokers=True
)
def _(patches: Patches) -> None:
    live = Committer._live_membership

    def commits_by_itself(self: Committer, tasks: Sequence[Task]) -> Any:
        group = live(self, tasks)
        member: Any = self._membership
        prepared = [task._prepared for task in tasks]
        member.commit(
            {place: offset for each in prepared if each is not None for place, offset in each.offsets.items()}
        )
        return group

    def asks(self: TransactionSession, offsets: InputOffsets) -> None:
        """The offsets are made, which is when they are committed, and not sent."""
        del self, offsets

    patches.setattr(Committer, "_live_membership", commits_by_itself)
    patches.setattr(TransactionSession, "_send_offsets", asks)


@mutant("no offsets", "commits transactions without offsets", Kind.TORN, Kind.DUPLICATE, on_brokers=True)
def _(patches: Patches) -> None:
    patches.setattr(TransactionSession, "_send_offsets", lambda _self, _offsets: None)


@mutant(
    "offsets filtered to the assignment",
    "leaves the offsets of a partition that was given away out of the transaction, and commits the rest",
    Kind.TORN,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    def only_membership(self: Committer, tasks: Sequence[Task]) -> Any:
        del tasks
        session: Any = self._session
        session.is_ours_by_now = self._is_ours
        return self._membership.group_metadata()

    send = TransactionSession._send_offsets

    def filtered(self: TransactionSession, offsets: InputOffsets) -> None:
        is_ours: Callable[[Partition], bool] = vars(self)["is_ours_by_now"]
        kept = {place: offset for place, offset in offsets.positions.items() if is_ours(place)}
        if kept:
            send(self, InputOffsets(kept, offsets.group))

    keeps_what_is_revoked(patches)
    patches.setattr(Committer, "_live_membership", only_membership)
    patches.setattr(TransactionSession, "_send_offsets", filtered)


def keeps_what_is_revoked(patches: Patches) -> None:
    """Tasks whose partitions go stay, and are worked on."""
    gives_away = Worker._give_away

    def keeps(self: Worker, partitions: list[Partition], *, may_come_back: bool = False) -> None:
        kept = {task_id: task for task_id, task in self._tasks.items() if not may_come_back}
        for task_id in kept:
            del self._tasks[task_id]
        gives_away(self, partitions, may_come_back=may_come_back)
        self._tasks.update(kept)

    patches.setattr(Worker, "_give_away", keeps)


@mutant(
    "revoked without offsets",
    "commits what is done when partitions go, and leaves its offsets out",
    Kind.TORN,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    revoked, send = Worker.on_revoked, TransactionSession._send_offsets

    def without(self: Worker, partitions: list[Partition]) -> None:
        session: Any = self._session
        session.leaves_out = True
        try:
            revoked(self, partitions)
        finally:
            session.leaves_out = False

    def perhaps(self: TransactionSession, offsets: Any) -> None:
        if not vars(self).get("leaves_out"):
            send(self, offsets)

    patches.setattr(Worker, "on_revoked", without)
    patches.setattr(TransactionSession, "_send_offsets", perhaps)


@mutant(
    "state outside",
    "commits outputs and offsets, and leaves the changes of the state out",
    Kind.LOST,
    Kind.WRONG_VALUE,
    Kind.STALE_RESTORE,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    prepare = Task.prepare

    def without(self: Task, *, claim: bool = False) -> PreparedTask:
        prepared = prepare(self, claim=claim)
        del prepared.keys[:-1], prepared.values[:-1]
        return prepared

    patches.setattr(Task, "prepare", without)


@mutant(
    "dead letters by another producer",
    "writes dead letters at once, outside of the transaction that commits their offset",
    Kind.DUPLICATE,
    Kind.TORN,
)
def _(patches: Patches) -> None:
    write = Staging._dead_letter

    def at_once(self: Staging, batch: SourceBatch, dead: DeadRecord, form: Any) -> None:
        producer: Any = self._session.producer
        producer.produce = beside(producer)
        try:
            write(self, batch, dead, form)
        finally:
            del producer.produce

    patches.setattr(Staging, "_dead_letter", at_once)


@mutant(
    "dead letter committed by itself",
    "commits a transaction as soon as a dead letter is in it, without offsets",
    Kind.TORN,
    Kind.DUPLICATE,
)
def _(patches: Patches) -> None:
    write = Staging._dead_letter

    def at_once(self: Staging, batch: SourceBatch, dead: DeadRecord, form: Any) -> None:
        write(self, batch, dead, form)
        self._session.commit()
        self.begin()

    patches.setattr(Staging, "_dead_letter", at_once)
