"""The committed offsets of a group, asked for by threads that wait, so that whoever asks need not.

An admin client could answer without threads, but its `list_consumer_group_offsets` ends the process by SIGSEGV when a
coordinator has moved (seen, librdkafka 2.16: it looks for the group of a consumer, and an admin client has none).
So consumers ask, which never join the group: a read_committed one waits for pending transactions (KIP-447), a
read_uncommitted one does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from penstock.errors import KafkaUnavailable
from penstock.kafka.client import Connection, Option, connected
from penstock.kafka.consumer import Committed
from penstock.kafka.error_map import from_call
from penstock.kafka.polled import Partition
from penstock.kafka.reader import Isolation

_ASK_TIMEOUT_S: Final = 0.3
_THREADS: Final = 4


class UnstableOffsets(KafkaUnavailable):
    """A transaction with offsets of this group is open, or is just being ended; or the coordinator does not answer."""


class GroupOffsets:
    """See the module's text.

    Args:
        connection: the cluster.
        group: its name.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, group: str, client_id: str) -> None:
        self._connection = connection
        self._group = group
        self._client_id = client_id
        self._threads: ThreadPoolExecutor | None = None
        self._consumers: dict[Isolation, Consumer] = {}

    def ask(self, partitions: Iterable[Partition], isolation: Isolation) -> Future[dict[Partition, Committed]]:
        """The committed positions of these partitions; those without one are left out.

        The future raises `UnstableOffsets` under read_committed while a transaction holds some of them, otherwise what
        `error_map` says.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "penstock-offsets")
        consumer = self._consumers.get(isolation) or self._connect(isolation)
        return self._threads.submit(self._committed, consumer, list(partitions), isolation)

    def close(self) -> None:
        """Let the threads end, which takes a moment, and let go of the connections."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()

    def _connect(self, isolation: Isolation) -> Consumer:
        own: dict[str, Option] = {
            "group.id": self._group,  # it never subscribes, so it never joins
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "allow.auto.create.topics": False,
        }
        options = self._connection.options(own, self._connection.consumer, self._client_id)
        self._consumers[isolation] = connected(Consumer, options, self._client_id)
        return self._consumers[isolation]

    def _committed(
        self, consumer: Consumer, partitions: list[Partition], isolation: Isolation
    ) -> dict[Partition, Committed]:
        doing = f"committed offsets of group '{self._group}'"
        try:
            found = consumer.committed([TopicPartition(*place) for place in partitions], timeout=_ASK_TIMEOUT_S)
        except KafkaException as exc:
            # Pending offsets are waited for inside, until the time is over.
            if isolation == "read_committed" and exc.args[0].code() == KafkaError._TIMED_OUT:
                raise UnstableOffsets(f"{doing}: a transaction with them is open, or nobody answers") from exc
            raise from_call(exc, doing) from exc
        for tp in found:
            if tp.error is not None:
                raise KafkaUnavailable(f"{doing}: {tp.topic}[{tp.partition}]: {tp.error.name()}")
        return {(tp.topic, tp.partition): Committed(tp.offset, tp.metadata or "") for tp in found if tp.offset >= 0}
