"""Topics and clusters: what is there, and what is to be there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # re-exported without __all__
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from penstock.errors import KafkaUnavailable, ServerUnreachable
from penstock.kafka.client import Connection, connected, let_go
from penstock.kafka.error_map import from_call, kafka_error
from penstock.kafka.listed_offsets import listed_offsets
from penstock.kafka.reader import Isolation

T = TypeVar("T")

_UNKNOWN = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_HEARSAY_S = 5.0
_LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """A topic that is to exist.

    Attributes:
        name: its name.
        partitions: how many.
        replication: copies of each partition; -1 = the broker's default.
        config: topic settings by Kafka's names.
    """

    name: str
    partitions: int
    replication: int = -1
    config: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic as it is: `leaderless` lists the partitions that nobody leads now."""

    name: str
    partitions: int
    replication: int
    leaderless: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokerDescription:
    """A broker as the cluster names it."""

    id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """The cluster as it describes itself."""

    cluster_id: str
    controller: int | None
    brokers: tuple[BrokerDescription, ...]


class Admin:
    """Administrative calls, each retried through coordinator moves within `budget_s`.

    After failovers a long-lived client can answer with stale leader epochs for ever: retries use a fresh one.

    Raises (all methods):
        ServerUnreachable: nothing answered within the budget.
        ConfigurationError: rights, names, numbers.
    """

    def __init__(self, connection: Connection, *, budget_s: float = 30.0) -> None:
        self._connection = connection
        self._budget_s = budget_s
        self._client = self._connect()

    def _connect(self) -> AdminClient:
        options = self._connection.options({}, self._connection.admin, "penstock-admin")
        return connected(AdminClient, options, "penstock-admin")

    def cluster(self) -> ClusterDescription:
        """The brokers that are up, and which one is the active controller."""
        found: Any = self._retried("describe_cluster", lambda c, s: c.describe_cluster(request_timeout=s).result())
        brokers = tuple(sorted((BrokerDescription(n.id, n.host, n.port) for n in found.nodes), key=lambda b: b.id))
        return ClusterDescription(found.cluster_id, found.controller.id if found.controller else None, brokers)

    def topics(self) -> dict[str, TopicDescription]:
        """{name: topic}, the cluster's own (`__consumer_offsets` ...) included."""
        found: Any = self._retried("list_topics", lambda c, s: c.list_topics(timeout=s))
        return {
            name: TopicDescription(
                name,
                partitions=len(meta.partitions),
                replication=max((len(p.replicas) for p in meta.partitions.values()), default=0),
                leaderless=tuple(i for i, p in sorted(meta.partitions.items()) if p.leader < 0),
            )
            for name, meta in sorted(found.topics.items())
        }

    def create(self, topics: Iterable[TopicSettings]) -> list[str]:
        """Create the topics that are not there yet, and wait until each has leaders; returns the names created."""
        wanted = list(topics)
        there = self.topics()
        missing = [t for t in wanted if t.name not in there]
        for topic in missing:
            self._retried(f"create_topics({topic.name})", partial(_create, topic))
        names = [t.name for t in missing]
        self.described(names)
        return names

    def described(self, names: Collection[str]) -> dict[str, TopicDescription]:
        """These topics, which exist: waits until each has leaders, since a broker hears of a new topic a little later.

        Raises:
            ServerUnreachable: one has none for too long.
        """
        deadline = time.monotonic() + self._budget_s
        while True:
            there = self.topics() if names else {}
            late = sorted(n for n in names if n not in there or there[n].leaderless)
            if not late:
                return {name: there[name] for name in names}
            if time.monotonic() > deadline:
                raise ServerUnreachable(f"topics without leaders after {self._budget_s:.0f} s: {late}")
            time.sleep(0.05)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics; those that are not there are passed over."""

        def call(client: AdminClient, timeout_s: float) -> None:
            for future in client.delete_topics(list(names), request_timeout=timeout_s).values():
                try:
                    future.result()
                except KafkaException as exc:
                    if _code(exc) != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise

        self._retried(f"delete_topics({', '.join(names)})", call)

    def topic_config(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """{topic: {setting: value}}, defaults included."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}

        def call(client: AdminClient, timeout_s: float) -> dict[str, dict[str, str]]:
            answers: Any = client.describe_configs(resources, request_timeout=timeout_s)
            return {
                resource.name: {e.name: e.value for e in future.result().values()}
                for resource, future in answers.items()
            }

        return self._retried("describe_configs", call)

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """{topic: Kafka's id}; a topic that was deleted and made anew under its old name has another one (KIP-516)."""

        def call(client: AdminClient, timeout_s: float) -> dict[str, str]:
            answers: Any = client.describe_topics(TopicCollection(list(names)), request_timeout=timeout_s)
            return {name: str(future.result().topic_id) for name, future in answers.items()}

        return self._retried("describe_topics", call) if names else {}

    def broker_config(self, broker: int) -> dict[str, str]:
        """{setting: value} of one broker, defaults included."""
        resource = ConfigResource(ResourceType.BROKER, str(broker))

        def call(client: AdminClient, timeout_s: float) -> dict[str, str]:
            answers: Any = client.describe_configs([resource], request_timeout=timeout_s)
            return {e.name: e.value for e in answers[resource].result().values()}

        return self._retried("describe_configs", call)

    def end_offsets(
        self, partitions: Iterable[tuple[str, int]], isolation: Isolation = "read_uncommitted"
    ) -> dict[tuple[str, int], int]:
        """{partition: end}: the high watermark, or under read_committed the last stable offset."""
        return self._offsets(partitions, "latest", isolation)

    def begin_offsets(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """{partition: first offset that is still there}."""
        return self._offsets(partitions, "earliest", "read_uncommitted")

    def _offsets(
        self, partitions: Iterable[tuple[str, int]], which: Literal["earliest", "latest"], isolation: Isolation
    ) -> dict[tuple[str, int], int]:
        level = IsolationLevel.READ_COMMITTED if isolation == "read_committed" else IsolationLevel.READ_UNCOMMITTED
        spec: Any = OffsetSpec.latest() if which == "latest" else OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, partition): spec for topic, partition in partitions}
        if not asked:
            return {}

        def call(client: AdminClient, timeout_s: float) -> dict[tuple[str, int], int]:
            return listed_offsets(client.list_offsets(asked, isolation_level=level, request_timeout=timeout_s))

        return self._retried("list_offsets", call)

    def _retried(self, doing: str, call: Callable[[AdminClient, float], T]) -> T:
        began_at_s = time.monotonic()
        deadline = began_at_s + self._budget_s
        attempt = 0
        while True:
            # Most questions go to the controller. Under KRaft a client is told of any broker as such, for seconds of
            # one that has just died, too; another client is told of another one: so ask often, and wait long later.
            timeout_s = min(float(2 ** (attempt // 2)), _LONGEST_S, self._budget_s)
            try:
                return call(self._client, timeout_s)
            except KafkaException as exc:
                error = from_call(exc, doing)
                # A topic that was made a moment ago, or a broker that is just back: not every broker has heard of it.
                is_late = _code(exc) in _UNKNOWN and time.monotonic() < began_at_s + _HEARSAY_S
                if not (isinstance(error, KafkaUnavailable) or is_late):
                    raise error from exc
                if time.monotonic() > deadline:
                    raise ServerUnreachable(
                        f"Kafka at {self._connection.bootstrap_servers} does not answer: {error}; "
                        "start it (`penstock kafka up`) or mend kafka.bootstrap_servers"
                    ) from exc
                time.sleep(0.1)
                let_go(self._client)
                self._client = self._connect()
                attempt += 1


def _create(topic: TopicSettings, client: AdminClient, timeout_s: float) -> None:
    new = NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication,
        config=dict(topic.config),
    )
    try:
        client.create_topics([new], request_timeout=timeout_s)[topic.name].result()
    except KafkaException as exc:
        if _code(exc) != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster
            raise


def _code(exc: KafkaException) -> int | None:
    error = kafka_error(exc)
    return error.code() if error else None
