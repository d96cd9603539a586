"""Publishing from application code: a web handler, a script, a bridge from another system."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from penstock.config import Config
from penstock.errors import TransactionAborted, UnencodableValue
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.producer import IdempotentProducer
from penstock.kafka.registry import RegistryClient
from penstock.protocols import SchemaRegistry
from penstock.publishing.topics import ensure_topic
from penstock.record import Record
from penstock.schemas.topic import BoundTopic, Topic

K = TypeVar("K")
V = TypeVar("V")


class Publisher:
    """Publishes records as they come, without a cursor.

    Its own retries make no duplicates within one run. What the application repeats after a crash is published again:
    use `@producer` where that matters. Not for several threads at once.

    A topic that is not there is made as it is declared, when it is first published to.

    Args:
        connection: the cluster.
        registry: of schemas; None where no topic needs one.
        name: its `client.id`.
        auto_register: whether unknown schemas are registered or refused.

    Example:
        ```python
        with ps.Publisher.from_config(ps.load_config()) as publisher:
            publisher.publish(PAYMENTS, ps.Record(key="account-1", value=Payment(cents=500)))
        ```
    """

    def __init__(
        self,
        connection: Connection,
        registry: SchemaRegistry | None = None,
        *,
        name: str = "penstock-publisher",
        auto_register: bool = True,
    ) -> None:
        self._connection = connection
        self._producer = IdempotentProducer(connection, name)
        self._registry = registry
        self._owned: list[RegistryClient] = []
        self._auto_register = auto_register
        self._topics: dict[str, tuple[Topic[Any, Any], BoundTopic[Any, Any]]] = {}

    @staticmethod
    def from_config(config: Config, *, name: str = "penstock-publisher") -> Publisher:
        """A publisher for the cluster and registry of a project's configuration."""
        registry = RegistryClient.of(config.registry)
        publisher = Publisher(
            Connection.of(config.kafka), registry, name=name, auto_register=config.registry.auto_register
        )
        publisher._owned.append(registry)
        return publisher

    def __enter__(self) -> Self:
        """Itself; flushed and closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Flush, unless the block failed, and close."""
        try:
            if exc is None:
                self.flush()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connections; what was not flushed may be lost."""
        self._producer.close()
        for registry in self._owned:
            registry.close()

    def publish(self, topic: Topic[K, V], record: Record[K, V]) -> None:
        """Encode and hand over one record; it is acknowledged when `flush` has returned.

        Raises:
            UnencodableValue: the record does not fit the topic's types; nothing of it is sent.
            RegistryUnavailable: the schema could not be looked up; call again.
            ConfigurationError: the topic is not as it is declared, or its schema is not registered.
            ServerUnreachable: Kafka does not answer, and the topic has to be looked at first.
        """
        self.publish_batch(topic, [record])

    def publish_batch(self, topic: Topic[K, V], records: Sequence[Record[K, V]]) -> None:
        """Encode and hand over records, in order; cheaper than one at a time.

        Raises:
            UnencodableValue: a record does not fit (`index` says which); none of the batch is sent.
            RegistryUnavailable: the schema could not be looked up; call again.
            ConfigurationError: as for `publish`; likewise `ServerUnreachable`.
        """
        if any(record.timestamp_ms is not None for record in records):
            raise UnencodableValue(
                f"{topic.name}: records are stamped with the time of publishing; keep event time as a field",
                field="timestamp_ms",
            )
        bound = self._bound(topic)
        keys = bound.encode_keys([record.key for record in records])
        values = bound.encode_values([record.value for record in records])
        headers = [record.headers for record in records] if any(record.headers for record in records) else None
        self._producer.produce(topic.name, keys, values, headers=headers)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Return once everything handed over is acknowledged by all in-sync replicas.

        Raises:
            TransactionAborted: some of it was not; the message says how many and why. Publishing those again may make
                duplicates of the ones whose acknowledgement was lost.
        """
        try:
            self._producer.flush(timeout_s)
        except TransactionAborted as exc:
            exc.add_note("A plain publisher has no transaction: the records that were acknowledged are visible.")
            raise
        finally:
            self._producer.forget_failures()

    def _bound(self, topic: Topic[K, V]) -> BoundTopic[K, V]:
        known = self._topics.get(topic.name)
        if known is None or known[0] is not topic:
            ensure_topic(Admin(self._connection), topic)
            known = self._topics[topic.name] = (topic, topic.bind(self._registry, auto_register=self._auto_register))
        return known[1]
