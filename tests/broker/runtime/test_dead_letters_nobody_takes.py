"""A dead-letter topic that takes nothing ends the worker in front of the record: nothing is passed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # re-exported without __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from penstock.dsl.pipeline import Pipeline
from penstock.embedded import KafkaCluster
from penstock.errors import ConfigurationError
from penstock.schemas.topic import Topic
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until
from tests.broker.runtime.in_process import has_committed, step_until, working

pytestmark = [pytest.mark.broker, pytest.mark.full]

VALUES = [b"1", b"2", b"bad", b"3"]


def numbers(name: str) -> Pipeline:
    made = Pipeline(name, on_error="dead_letter")
    made.stream(Topic(f"{name}-in", key=str, value=str)).map(int, name="parse").map(str, name="show").to(
        Topic(f"{name}-out", key=str, value=str, partitions=1)
    )
    return made


def values(kafka: KafkaUnderTest, topic: str) -> list[bytes]:
    return [record.value or b"" for records in read(kafka.bootstrap_servers, topic).values() for record in records]


def work_while(
    kafka: KafkaUnderTest, name: str, state: Path, change: Callable[[Any, str], None], mend: Callable[[Any, str], None]
) -> None:
    """Have the topic changed once the worker has it; it ends. Mended, all that there is comes through."""
    dead, admin = f"dlq.{name}.{name}-in", AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    create(kafka.bootstrap_servers, f"{name}-in")
    # The client believes half a minute long that a topic was made a moment ago; then it says so.
    with working(kafka, numbers(name), state, timeout_ms=60_000) as worker:
        step_until(worker, lambda: bool(worker.tasks))
        change(admin, dead)
        publish(kafka.bootstrap_servers, f"{name}-in", [Row(b"k", value) for value in VALUES])
        with pytest.raises(ConfigurationError, match=dead):
            step_until(worker, lambda: False)
    mend(admin, dead)
    with working(kafka, numbers(name), state) as worker:
        step_until(worker, lambda: has_committed(worker, {(f"{name}-in", 0): len(VALUES)}))
        worker.close()
    assert values(kafka, f"{name}-out") == [b"1", b"2", b"3"]
    assert values(kafka, dead) == [b"bad"]


@pytest.mark.timeout(180)
def test_one_that_is_gone(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """The next start makes it anew."""

    def delete(admin: Any, topic: str) -> None:
        admin.delete_topics([topic])[topic].result(30)
        until(lambda: topic not in admin.list_topics(timeout=10).topics)

    work_while(kafka, topic_prefix, tmp_path, delete, lambda *_: None)


@pytest.mark.timeout(180)
def test_one_that_we_may_not_write_to(topic_prefix: str, tmp_path: Path) -> None:
    everybody = ("User:*", "*", AclOperation.WRITE, AclPermissionType.DENY)

    def deny(admin: Any, topic: str) -> None:
        rule = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, *everybody)
        admin.create_acls([rule])[rule].result(30)

    def allow(admin: Any, topic: str) -> None:
        rule = AclBindingFilter(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, *everybody)
        admin.delete_acls([rule])[rule].result(30)

    authorizer: dict[str, str | int | bool] = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": True,
    }
    with KafkaCluster(settings=authorizer) as cluster:
        work_while(KafkaUnderTest(cluster.bootstrap_servers, cluster), topic_prefix, tmp_path, deny, allow)
