"""The session's broker, as every other test gets it."""

from __future__ import annotations

import pytest

from penstock.kafka.readiness import ReadinessProbe
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker


def test_the_session_broker_is_up_and_takes_transactions(kafka: KafkaUnderTest) -> None:
    probe = ReadinessProbe(kafka.bootstrap_servers)

    assert probe.nodes(timeout_s=10) == {1}
    probe.require_transactions(timeout_s=10)


def test_a_topic_prefix_is_a_legal_name_for_anything(topic_prefix: str) -> None:
    assert topic_prefix.replace("-", "").isalnum()
    assert topic_prefix.startswith("test-a-topic-prefix-is")


@pytest.mark.parametrize("odd", ["a b/c", "ü.ö", "x" * 300])
def test_a_topic_prefix_leaves_room_for_a_name(topic_prefix: str, odd: str) -> None:
    """Kafka allows 249 characters in a topic, and letters, digits, dot, dash and underscore only."""
    assert odd not in topic_prefix
    assert len(topic_prefix) <= 50
