"""Who is told of partitions that come and go."""

from __future__ import annotations

import pytest

from tests.unit.kafka_client.scripted_client import Listener


@pytest.fixture
def listener() -> Listener:
    return Listener()
