"""Registries with a topic of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from penstock.embedded.registry import RegistryServer
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.registry.raw_log import RawLog


@pytest.fixture
def schemas_topic(topic_prefix: str) -> str:
    return f"{topic_prefix}-schemas"


@pytest.fixture
def log(kafka: KafkaUnderTest, schemas_topic: str) -> RawLog:
    """This test's topic."""
    return RawLog(kafka.bootstrap_servers, schemas_topic)


@pytest.fixture
def new_registry(kafka: KafkaUnderTest, schemas_topic: str) -> Iterator[Callable[[], RegistryServer]]:
    """Starts registries on this test's topic; whatever still runs ends with the test."""
    with ExitStack() as stack:

        def start() -> RegistryServer:
            server = RegistryServer(kafka.bootstrap_servers, topic=schemas_topic, session_timeout_s=2.0)
            return stack.enter_context(server)

        yield start
