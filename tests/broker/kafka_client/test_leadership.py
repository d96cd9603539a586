"""Who leads, by the group coordinator of a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from penstock.errors import ServerUnreachable
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.leadership import Leadership
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

NewLeadership = Callable[[], Leadership]


@pytest.fixture
def new_leadership(kafka: KafkaUnderTest, topic_prefix: str) -> Iterator[NewLeadership]:
    """Makes candidates for the lead of one topic; all leave the group with the test."""
    connection = Connection(kafka.bootstrap_servers)
    Admin(connection).create([TopicSettings(topic_prefix, partitions=1)])
    with ExitStack() as stack:

        def make() -> Leadership:
            made = Leadership(
                connection, group=topic_prefix, topic=topic_prefix, session_timeout_s=2.0, on_lost=lambda: None
            )
            stack.callback(made.close)
            return made

        yield make


def test_a_place_that_this_process_left_in_the_group_is_no_other_process(new_leadership: NewLeadership) -> None:
    """After a loss of connection the coordinator may still know the member that we were: it is waited for."""
    new_leadership().acquire()
    with pytest.raises(ServerUnreachable, match="try again"):
        new_leadership().acquire()
