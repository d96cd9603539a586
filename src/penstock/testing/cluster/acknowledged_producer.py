"""A producer without transactions on a simulated cluster: what `at_least_once` runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.protocols import GroupMetadata
from penstock.runtime.clients import CommitOffsets
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.producer import Partition, Queued, SimulatedProducer


class SimulatedAcknowledgedProducer(SimulatedProducer):
    """As `kafka.acknowledged_producer.AcknowledgedProducer`: records are visible at once, and nobody is fenced.

    Args:
        cluster: where.
        process: whose.
        name: its `client.id`.
        delivery_timeout_ms: for the seam; what is not answered here is planned.
        max_batch_bytes: larger records are refused by the client.
        commit_offsets: has the group's offsets committed.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        process: Process,
        name: str,
        delivery_timeout_ms: int,
        max_batch_bytes: int,
        commit_offsets: CommitOffsets,
    ) -> None:
        super().__init__(cluster, process, name, delivery_timeout_ms, max_batch_bytes)
        self._commit_offsets = commit_offsets

    def init_transactions(self, timeout_s: float) -> None:
        """Nobody is fenced: what a predecessor still sends are duplicates."""
        del timeout_s
        self._begin_call("init")
        self._id = (self.cluster.idempotent_id(), 0)
        self._may = frozenset({"begin"})

    def send_offsets(
        self, offsets: Mapping[Partition, tuple[int, str]], group: GroupMetadata, timeout_s: float
    ) -> None:
        """Have the group's offsets committed; everything staged is acknowledged by now."""
        del group, timeout_s
        self._begin_call("send_offsets")
        self._commit_offsets(offsets)
        self._may = frozenset({"commit"})

    def commit_transaction(self, timeout_s: float) -> None:
        """All is done."""
        del timeout_s
        self._begin_call("commit")
        self._may = frozenset({"begin"})

    def doubt(self) -> None:
        """None: a request that is sent twice makes duplicates at worst."""
        self._process.check()

    def _announce(self, place: Partition) -> None:
        """There is no transaction that would have to know."""

    def _append(self, place: Partition, batch: Sequence[Queued], sequence: int) -> None:
        producer_id, epoch = self._id
        log = self.cluster.partition(place)
        if log.has_batch(producer_id, epoch, sequence):
            return  # a request that was sent again
        self._check(place, batch)
        for queued in batch:
            log.append(queued.key, queued.value, queued.timestamp_ms, queued.headers)
        log.note_batch(producer_id, epoch, sequence)
