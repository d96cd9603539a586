"""The settings of one embedded node: a full broker that starts within a second and notices failures within a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.embedded.ports import LOOPBACK

Setting = str | int | bool


@dataclass(frozen=True, slots=True)
class NodePorts:
    """Where one node listens: for clients, and for the other controllers."""

    broker: int
    controller: int


def node_settings(
    node_id: int, ports: Sequence[NodePorts], data: Path, extra: Mapping[str, Setting] | None = None
) -> dict[str, Setting]:
    """The `server.properties` of one node.

    Args:
        node_id: 1 for the first.
        ports: of all nodes, in the order of their ids.
        data: where this node keeps its log.
        extra: settings that overrule ours.
    """
    own = ports[node_id - 1]
    return {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.quorum.voters": ",".join(
            f"{voter}@{LOOPBACK}:{each.controller}" for voter, each in enumerate(ports, start=1)
        ),
        "listeners": f"BROKER://{LOOPBACK}:{own.broker},CONTROLLER://{LOOPBACK}:{own.controller}",
        "advertised.listeners": f"BROKER://{LOOPBACK}:{own.broker}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "auto.create.topics.enable": False,
        **_replication(len(ports)),
        **_SMALL,
        **_QUICK,
        **(extra or {}),
    }


# The default of 128 MiB for the cleaner is allocated at start: out of memory with a small heap.
_SMALL: dict[str, Setting] = {
    "num.network.threads": 2,
    "num.io.threads": 2,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
    "log.segment.bytes": 64 * 1024 * 1024,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 4,
}

# What a server farm waits out, a test cannot: a member or a broker that dies is noticed in seconds. Clients still
# choose their own session timeout in the classic protocol; in KIP-848 the broker alone decides, 45 s by default.
_QUICK: dict[str, Setting] = {
    "log.initial.task.delay.ms": 100,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    "group.consumer.min.session.timeout.ms": 1_000,
    "group.consumer.session.timeout.ms": 6_000,
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.heartbeat.interval.ms": 500,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 4_000,
}


def _replication(nodes: int) -> dict[str, Setting]:
    replicas, in_sync = (3, 2) if nodes >= 3 else (1, 1)
    return {
        "default.replication.factor": replicas,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


def as_properties(settings: Mapping[str, Setting]) -> str:
    """The text of a Java properties file."""
    return "".join(f"{name}={_text(value)}\n" for name, value in settings.items())


def _text(value: Setting) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # The properties format reads a backslash as an escape, and a line break would start another setting.
    return text.replace("\\", "\\\\").replace("\n", "\\n")
