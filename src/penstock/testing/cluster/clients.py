"""What the engine is given instead of clients of a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.errors import ConfigurationError
from penstock.kafka.consumer import RebalanceListener
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.reader import Isolation, RawRecord
from penstock.runtime.clients import CommitOffsets
from penstock.testing.cluster.acknowledged_producer import SimulatedAcknowledgedProducer
from penstock.testing.cluster.administration import SimulatedAdmin, SimulatedRecordDeleter
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.consumer_member import SimulatedConsumerMember
from penstock.testing.cluster.member import SimulatedMember
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.producer import SimulatedProducer
from penstock.testing.cluster.reading import SimulatedGroupQuestions, SimulatedReader, read_to_end


class SimulatedClients:
    """`runtime.clients.Clients` of one process.

    Args:
        cluster: where.
        process: whose.
    """

    def __init__(self, cluster: SimulatedCluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process

    def admin(self, budget_s: float = 30.0) -> SimulatedAdmin:
        """For administrative calls; each may take so long."""
        return SimulatedAdmin(self._cluster, self._process, budget_s)

    def member(
        self, group: str, client_id: str, listener: RebalanceListener, settings: GroupSettings
    ) -> SimulatedMember:
        """A member of a consumer group.

        Raises:
            ConfigurationError: static membership by the newer protocol.
        """
        if settings.instance_id is not None and settings.protocol == "consumer":
            raise ConfigurationError(
                "a simulated cluster knows static members (group.instance.id) by the classic protocol only"
            )
        by_protocol = {"classic": SimulatedMember, "consumer": SimulatedConsumerMember}
        made = by_protocol[settings.protocol]
        return made(self._cluster, self._process, group, client_id, listener, settings)

    def producer(
        self,
        transactional_id: str,
        transaction_timeout_ms: int,
        max_batch_bytes: int,
        *,
        records_have_timestamps: bool = False,
    ) -> SimulatedProducer:
        """A transactional producer."""
        del records_have_timestamps
        return SimulatedProducer(
            self._cluster, self._process, transactional_id, transaction_timeout_ms, max_batch_bytes
        )

    def acknowledged_producer(
        self, name: str, delivery_timeout_ms: int, max_batch_bytes: int, commit_offsets: CommitOffsets
    ) -> SimulatedAcknowledgedProducer:
        """A producer without transactions."""
        return SimulatedAcknowledgedProducer(
            self._cluster, self._process, name, delivery_timeout_ms, max_batch_bytes, commit_offsets
        )

    def reader(self, client_id: str, isolation: Isolation = "read_committed") -> SimulatedReader:
        """A reader of partitions."""
        del client_id
        return SimulatedReader(self._cluster, self._process, isolation)

    def read_to_end(self, topic: str, partition: int, *, client_id: str, end: Isolation) -> Iterator[RawRecord]:
        """Every committed record of a partition up to its end of now, oldest first."""
        del client_id
        return read_to_end(self._cluster, self._process, (topic, partition), end)

    def group(self, name: str, client_id: str) -> SimulatedGroupQuestions:
        """For questions about a group."""
        del client_id
        return SimulatedGroupQuestions(self._cluster, self._process, name)

    def record_deleter(self, client_id: str) -> SimulatedRecordDeleter:
        """Deletes records from the front of partitions."""
        del client_id
        return SimulatedRecordDeleter(self._cluster, self._process)
