"""The seam to the cluster: every client that a worker uses is made here.

`KafkaClients` makes them on a real cluster. `penstock.testing.cluster` makes others with the same methods and the same
errors, on a cluster in memory; nothing else of the engine knows the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from penstock.kafka.acknowledged_producer import AcknowledgedProducer
from penstock.kafka.admin import Admin, ClusterDescription, TopicDescription, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed, GroupConsumer, RebalanceListener
from penstock.kafka.extents import Extent
from penstock.kafka.group_members import GroupMember
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.group_view import Answer, GroupView
from penstock.kafka.reader import Columns, Isolation, RawRecord, Reader, read_to_end
from penstock.kafka.record_deletion import RecordDeleter
from penstock.kafka.statistics import Take
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.protocols import TransactionalProducer
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.purge import Deleter

CommitOffsets = Callable[[Mapping[Partition, tuple[int, str]]], None]


class CommittingMember(Member, Protocol):
    """A group member that can commit offsets without a transaction."""

    def commit(self, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Ask for {partition: (next offset, metadata)} to be committed; no answer is waited for."""
        ...


class LogReader(Protocol):
    """Reads partitions by explicit assignment; `kafka.reader.Reader` says what each method does."""

    @property
    def at_end(self) -> Collection[Partition]:
        """Partitions that have no more now."""
        ...

    def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions from these positions."""
        ...

    def poll(self, timeout_s: float, max_records: int = 1_000) -> list[RawRecord]:
        """The next records."""
        ...

    def poll_columns(self, timeout_s: float, max_records: int = 5_000) -> Columns:
        """The next records of one partition."""
        ...

    def position(self, topic: str, partition: int) -> int | None:
        """The next offset to be read."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class GroupQuestions(Protocol):
    """Asks about one group, without waiting; `kafka.group_view.GroupView` says what each method does."""

    def members(self) -> Answer[tuple[GroupMember, ...]]:
        """Who is in the group."""
        ...

    def stable_offsets(self, partitions: Iterable[Partition]) -> Answer[dict[Partition, Committed]]:
        """The committed positions, stable ones."""
        ...

    def last_offsets(self, partitions: Iterable[Partition]) -> Answer[dict[Partition, Committed]]:
        """What was last committed, whatever is pending behind it."""
        ...

    def extents(self, partitions: Sequence[Partition]) -> Answer[dict[Partition, Extent]]:
        """Where partitions begin and end."""
        ...

    def extent(self, partition: Partition) -> Answer[Extent]:
        """Where one partition begins and ends."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class TopicAdmin(Protocol):
    """Administrative calls; `kafka.admin.Admin` says what each method does."""

    def cluster(self) -> ClusterDescription:
        """The brokers that are up."""
        ...

    def topics(self) -> dict[str, TopicDescription]:
        """{name: topic}."""
        ...

    def create(self, topics: Iterable[TopicSettings]) -> list[str]:
        """Create the topics that are not there yet."""
        ...

    def described(self, names: Collection[str]) -> dict[str, TopicDescription]:
        """These topics, which exist."""
        ...

    def topic_config(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """{topic: {setting: value}}."""
        ...

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """{topic: Kafka's id}."""
        ...

    def broker_config(self, broker: int) -> dict[str, str]:
        """{setting: value} of one broker."""
        ...

    def end_offsets(self, partitions: Iterable[Partition], isolation: Isolation = ...) -> dict[Partition, int]:
        """{partition: end}."""
        ...


class Clients(Protocol):
    """Makes the clients of one process."""

    def admin(self, budget_s: float = 30.0) -> TopicAdmin:
        """For administrative calls; each may take so long."""
        ...

    def member(
        self, group: str, client_id: str, listener: RebalanceListener, settings: GroupSettings
    ) -> CommittingMember:
        """A member of a consumer group."""
        ...

    def producer(
        self,
        transactional_id: str,
        transaction_timeout_ms: int,
        max_batch_bytes: int,
        *,
        records_have_timestamps: bool = False,
    ) -> TransactionalProducer:
        """A transactional producer."""
        ...

    def acknowledged_producer(
        self, name: str, delivery_timeout_ms: int, max_batch_bytes: int, commit_offsets: CommitOffsets
    ) -> TransactionalProducer:
        """A producer without transactions."""
        ...

    def reader(self, client_id: str, isolation: Isolation = "read_committed") -> LogReader:
        """A reader of partitions."""
        ...

    def read_to_end(self, topic: str, partition: int, *, client_id: str, end: Isolation) -> Iterator[RawRecord]:
        """Every committed record of a partition up to its end of now, oldest first."""
        ...

    def group(self, name: str, client_id: str) -> GroupQuestions:
        """For questions about a group."""
        ...

    def record_deleter(self, client_id: str) -> Deleter:
        """Deletes records from the front of partitions."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose statistics are told.

    Attributes:
        name: the `client.id` of a member, or the `transactional.id` of a producer. Clients of other names are not told
            of: those that restore, purge and end the transactions of others come and go.
        take: told of them, on the thread that uses them.
    """

    name: str
    take: Take


class KafkaClients:
    """`Clients` on a cluster.

    Args:
        connection: the cluster.
        watched: whose statistics are told; None = nobody's.
    """

    def __init__(self, connection: Connection, watched: Watched | None = None) -> None:
        self._connection = connection
        self._watched = watched

    def _connection_of(self, name: str) -> Connection:
        watched = self._watched
        if watched is None or watched.name != name:
            return self._connection
        return replace(self._connection, statistics=watched.take)

    def admin(self, budget_s: float = 30.0) -> Admin:
        """For administrative calls; each may take so long."""
        return Admin(self._connection, budget_s=budget_s)

    def member(self, group: str, client_id: str, listener: RebalanceListener, settings: GroupSettings) -> GroupConsumer:
        """A member of a consumer group."""
        return GroupConsumer(self._connection_of(client_id), group, client_id, listener, settings)

    def producer(
        self,
        transactional_id: str,
        transaction_timeout_ms: int,
        max_batch_bytes: int,
        *,
        records_have_timestamps: bool = False,
    ) -> KafkaTransactionalProducer:
        """A transactional producer."""
        return KafkaTransactionalProducer(
            self._connection_of(transactional_id),
            transactional_id,
            transaction_timeout_ms,
            max_batch_bytes,
            records_have_timestamps=records_have_timestamps,
        )

    def acknowledged_producer(
        self, name: str, delivery_timeout_ms: int, max_batch_bytes: int, commit_offsets: CommitOffsets
    ) -> AcknowledgedProducer:
        """A producer without transactions."""
        return AcknowledgedProducer(
            self._connection_of(name), name, delivery_timeout_ms, max_batch_bytes, commit_offsets
        )

    def reader(self, client_id: str, isolation: Isolation = "read_committed") -> Reader:
        """A reader of partitions."""
        return Reader(self._connection, isolation=isolation, client_id=client_id)

    def read_to_end(self, topic: str, partition: int, *, client_id: str, end: Isolation) -> Iterator[RawRecord]:
        """Every committed record of a partition up to its end of now, oldest first."""
        return read_to_end(self._connection, topic, partition, client_id=client_id, end=end)

    def group(self, name: str, client_id: str) -> GroupView:
        """For questions about a group."""
        return GroupView(self._connection, name, client_id)

    def record_deleter(self, client_id: str) -> RecordDeleter:
        """Deletes records from the front of partitions."""
        return RecordDeleter(self._connection, client_id)
