"""Asks who is in a group whose coordinator is away, gives up, lets it come up, and ends well if it is still there.

Usage: asking_a_coordinator.py (ours | "timed out" | garbage)
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from penstock.errors import KafkaUnavailable
from penstock.kafka.client import Connection
from penstock.kafka.group_members import GroupMembers
from tests.unit.kafka_client.bare_brokers import Api, Broker, Group, Member, cluster

PATIENCE_S = 0.3


def as_we_do(connection: Connection, coordinator: Broker) -> None:
    """Ask, give up, and go on asking."""
    asks = GroupMembers(connection, "asks")
    try:
        asks.of("g", PATIENCE_S)
    except KafkaUnavailable:
        coordinator.start()
    assert asks.of("g", 20.0)
    asks.close()


def with_its_own_time_out(connection: Connection, coordinator: Broker) -> None:
    """Leave it to the client to give up."""
    client = AdminClient(connection.options({}, connection.admin, "asks"))
    futures: Any = client.describe_consumer_groups(["g"], request_timeout=PATIENCE_S)
    try:
        futures["g"].result()
    except KafkaException:
        coordinator.start()
    coordinator.wait_for(Api.DESCRIBE_GROUPS, timeout_s=5)


def as_garbage(connection: Connection, coordinator: Broker) -> None:
    """Leave the client, which owes an answer, to whoever looks for garbage: its own thread, when the answer comes."""
    circle: list[Any] = [AdminClient(connection.options({}, connection.admin, "asks"))]
    circle.append(circle)
    gc.disable()
    (future,) = circle[0].describe_consumer_groups(["g"], request_timeout=3_600).values()
    future.add_done_callback(lambda _: gc.collect())
    del circle
    coordinator.start()
    future.result(5)
    coordinator.wait_for(Api.DESCRIBE_GROUPS, 2, timeout_s=1)


def main(how: str) -> None:
    """Play it."""
    with cluster(2) as made:
        first, second = made.brokers
        made.coordinators["g"] = second
        second.groups["g"] = Group([Member("id", "p.0")])
        first.start()
        ways = {"ours": as_we_do, "timed out": with_its_own_time_out, "garbage": as_garbage}
        ways[how](Connection(made.bootstrap_servers), second)


if __name__ == "__main__":
    main(sys.argv[1])
