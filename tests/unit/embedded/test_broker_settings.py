"""What a node is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.embedded.broker_settings import NodePorts, as_properties, node_settings

PORTS = (NodePorts(9092, 1), NodePorts(9093, 2), NodePorts(9094, 3))


def test_a_node_listens_on_the_loopback_address_only() -> None:
    settings = node_settings(2, PORTS, Path("/data"))

    assert settings["listeners"] == "BROKER://127.0.0.1:9093,CONTROLLER://127.0.0.1:2"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:1,2@127.0.0.1:2,3@127.0.0.1:3"


@pytest.mark.parametrize(("nodes", "replicas", "in_sync"), [(1, 1, 1), (3, 3, 2)])
def test_transactions_are_replicated_as_far_as_there_are_nodes(nodes: int, replicas: int, in_sync: int) -> None:
    settings = node_settings(1, PORTS[:nodes], Path("/data"))

    assert settings["transaction.state.log.replication.factor"] == replicas
    assert settings["transaction.state.log.min.isr"] == in_sync


def test_the_callers_settings_overrule() -> None:
    assert node_settings(1, PORTS[:1], Path("/d"), {"log.segment.bytes": 7})["log.segment.bytes"] == 7


def test_properties_are_written_so_that_java_reads_the_same_text() -> None:
    text = as_properties({"a": True, "b": "c:\\d", "e": "f\ng=1", "h": 3})

    assert text == "a=true\nb=c:\\\\d\ne=f\\ng=1\nh=3\n"
