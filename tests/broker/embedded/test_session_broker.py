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


def test_a_topic_prefix_is_a_legal_topic_name(topic_prefix: str) -> None:
    assert topic_prefix.replace("-", "").isalnum()
    assert topic_prefix.startswith("test-a-topic-prefix-is-a-legal-topic-name")
    assert len(topic_prefix) < 60
