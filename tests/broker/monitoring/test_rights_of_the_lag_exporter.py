"""What the lag exporter may do: on a broker that asks for rights, Describe on groups and topics is enough."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # re-exported without __all__
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from penstock.clock import SystemClock
from penstock.embedded import KafkaCluster
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.survey import Survey
from penstock.monitoring.lag.observer import Observer, ObserverRules
from tests.broker.harness.victims import until

pytestmark = pytest.mark.broker

AUTHORIZER: Mapping[str, str | bool] = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # What has no rule is free, so that the scene can be set; at the end of that, everything has one.
    "allow.everyone.if.no.acl.found": True,
}
ANONYMOUS = "User:ANONYMOUS"
"""Everybody on a listener without authentication, the broker itself included."""
TOPIC, GROUP = "payments", "billing"


@pytest.fixture(scope="module")
def describe_only() -> Iterator[str]:
    """A broker with a topic of ten records, of which a group has read four; we may describe both, and nothing else."""
    with KafkaCluster(settings=AUTHORIZER) as cluster:
        servers = cluster.bootstrap_servers
        Admin(Connection(servers)).create([TopicSettings(TOPIC, 1), TopicSettings("secret", 1)])
        producer = Producer({"bootstrap.servers": servers})
        for number in range(10):
            producer.produce(TOPIC, str(number).encode(), partition=0)
        assert producer.flush(30) == 0
        consumer = Consumer({"bootstrap.servers": servers, "group.id": GROUP})
        consumer.commit(offsets=[TopicPartition(TOPIC, 0, 4)], asynchronous=False)
        consumer.close()
        allow(
            servers,
            (ResourceType.TOPIC, TOPIC, AclOperation.DESCRIBE),
            (ResourceType.GROUP, GROUP, AclOperation.DESCRIBE),
            (ResourceType.TOPIC, "secret", AclOperation.DESCRIBE_CONFIGS),
            # The broker's own; it takes Describe on the cluster away, with which all groups could be listed.
            (ResourceType.BROKER, "kafka-cluster", AclOperation.CLUSTER_ACTION),
        )
        until(lambda: read_error(servers) == KafkaError.TOPIC_AUTHORIZATION_FAILED)
        yield servers


def allow(servers: str, *rights: tuple[Any, str, Any]) -> None:
    """Make rules; the last one may take away the right to make more."""
    admin: Any = AdminClient({"bootstrap.servers": servers})
    for kind, name, operation in rights:
        rule = AclBinding(kind, name, ResourcePatternType.LITERAL, ANONYMOUS, "*", operation, AclPermissionType.ALLOW)
        for future in admin.create_acls([rule]).values():
            future.result(30)


def read_error(servers: str) -> int | None:
    """What a consumer is told that reads the topic; None = it reads it."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": GROUP, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    try:
        message = consumer.poll(10)
        error = None if message is None else message.error()
        return None if error is None else error.code()
    finally:
        consumer.close()


def observer(survey: Survey, *, probes: bool = False) -> Observer:
    return Observer(survey, ObserverRules(groups=re.compile(GROUP), probes=probes), SystemClock())


def test_with_describe_alone_lag_is_told_in_offsets_and_in_seconds(describe_only: str) -> None:
    with closing(Survey(Connection(describe_only), "test-rights")) as survey:
        assert survey.groups() == [GROUP], "those that we may see"
        seen = observer(survey).cycle()
    (found,) = seen.backlogs
    assert (found.group, found.topic, found.partition, found.committed, found.lag) == (GROUP, TOPIC, 0, 4, 6)
    assert found.time_lag is not None
    assert 0 < found.time_lag.seconds < 120
    assert (seen.groups[GROUP].state, seen.groups[GROUP].members) == ("EMPTY", 0)
    assert seen.degraded == {"partition": 0, "group": 0}
    asked = {outcome for (_, outcome), count in seen.requests.items() if count}
    assert asked == {"ok"}, "nothing that was asked was refused"


def test_what_may_be_read_is_not_needed_but_for_probes(describe_only: str) -> None:
    """Read rights were never used above: the same client that looks at records is refused."""
    assert read_error(describe_only) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    with closing(Survey(Connection(describe_only), "test-rights")) as survey:
        probing = observer(survey, probes=True)
        probing.cycle()
        seen = probing.cycle()
    (found,) = seen.backlogs
    assert found.lag == 6, "what cannot be looked at stays lag"
    assert seen.requests["probe", "failed"] == 1


def test_a_topic_without_describe_is_not_seen_and_spoils_nothing(describe_only: str) -> None:
    with closing(Survey(Connection(describe_only), "test-rights")) as survey:
        assert survey.partitions() == {TOPIC: 1}
