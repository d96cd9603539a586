"""All that is proven: Kafka, a registry, two pipelines of two workers each, a producer, the lag exporter, the servers.

Every process is in a session of its own and dies with this one, however that ends: nothing survives it.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs
from confluent_kafka import Producer

from penstock.embedded import KafkaCluster
from penstock.embedded.launched import Launched
from penstock.embedded.ports import is_free
from penstock.embedded.registry import RegistryServer
from penstock.errors import StartFailed
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.testing.proxy import KafkaProxy
from tests.broker.harness.bare_reader import group_offsets
from tests.broker.harness.victims import until
from tests.servers.alertmanager import Ear, alertmanager
from tests.servers.faster import faster_rules
from tests.servers.live.pipelines import Readings, write_sums, write_totals
from tests.servers.plant import WORKERS, Traffic, lag_exporter, told
from tests.servers.prometheus import Prometheus, prometheus

SUMS: Final = "numbers"
READINGS: Final = "readings"
LEDGER: Final = "ledger"
SUMS_PARTITIONS: Final = 3
READINGS_PARTITIONS: Final = 4
TICKS: Final = "ticks"
_TICKS_PER_S: Final = 40
_BELOW_EPHEMERAL: Final = range(20_000, 32_000)
"""Ports that no client is given for its end of a connection."""
_KEYS: Final = 450_000
"""Of sums before anything is looked at: so much that to restore them can be seen."""


@dataclass(slots=True)
class Running:
    """A pipeline at work.

    Attributes:
        name: its own.
        root: its project.
        log: what it says.
        supervisor: of its workers; the one of now.
    """

    name: str
    root: Path
    log: Path
    supervisor: Launched = field(init=False)

    def start(self) -> None:
        """Start it, or start it again."""
        command = [sys.executable, "-P", "-m", "penstock", "run", self.name, "--workers", str(WORKERS)]
        self.supervisor = Launched(command, self.log, scratch=None, directory=self.root)

    def die(self) -> None:
        """SIGKILL of the supervisor, which takes its workers with it."""
        self.supervisor.signal(signal.SIGKILL)
        self.supervisor.end(10)

    def workers(self) -> dict[str, int]:
        """{name as in metrics: process id} of the last process of each worker, as the supervisor tells them."""
        found = re.findall(r"worker is process (\d+).* worker=(\S+)", self.log.read_text())
        return {f"{self.name}.{worker}": int(pid) for pid, worker in found}

    def kill(self, worker: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        os.kill(self.workers()[worker], signal.SIGKILL)

    def checkpoints(self) -> list[Path]:
        """The files that there are."""
        return sorted((self.root / ".penstock" / "tasks").glob("*/checkpoint"))


@dataclass(frozen=True, slots=True)
class Works:
    """It, at work.

    Attributes:
        bootstrap_servers: the cluster's.
        registry: of schemas.
        proxy: between the lag exporter and the cluster.
        sums: a pipeline.
        totals: the other.
        numbers: what comes into `sums`.
        readings: what comes into `totals`.
        reading: how those are written.
        prometheus: who watches.
        ear: who is told of alerts.
    """

    bootstrap_servers: str
    registry: RegistryServer
    proxy: KafkaProxy
    sums: Running
    totals: Running
    numbers: Traffic
    readings: Traffic
    reading: Readings
    prometheus: Prometheus
    ear: Ear


def program(name: str) -> str:
    """Where a server's program is.

    Raises:
        StartFailed: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise StartFailed(
            f"{name} is not installed: it comes with Debian's packages prometheus, prometheus-alertmanager"
        )
    return found


@contextmanager
def works(folder: Path) -> Generator[Works]:
    """Runs for the time of the block; at its beginning everything has been started, and not more.

    Args:
        folder: for projects, logs and data.
    """
    servers = program("prometheus"), program("prometheus-alertmanager")
    with ExitStack() as stack:
        cluster = stack.enter_context(KafkaCluster())
        at = cluster.bootstrap_servers
        registry = stack.enter_context(RegistryServer(at))
        proxy = stack.enter_context(KafkaProxy(at))
        reading = Readings(registry.url, READINGS)
        numbers = Traffic(at, SUMS, SUMS_PARTITIONS)
        many_keys(at)
        readings = Traffic(at, READINGS, READINGS_PARTITIONS, reading.value(20))
        ledger = Traffic(at, LEDGER, 1)
        for traffic in (numbers, readings, ledger):
            stack.enter_context(traffic)
        write_sums(folder / "sums", at, registry.url)
        write_totals(folder / "totals", at, registry.url, ports_in_a_row(1 + WORKERS))
        sums = stack.enter_context(running("sums", folder / "sums"))
        totals = stack.enter_context(running("totals", folder / "totals"))
        through = {"PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": proxy.bootstrap_servers}
        exporter = stack.enter_context(lag_exporter(folder / "sums", "sums|totals|audit", **through))
        until(lambda: is_caught_up(at, "sums", SUMS, SUMS_PARTITIONS), 120)
        until(lambda: is_caught_up(at, "totals", READINGS, READINGS_PARTITIONS), 120)
        ear = Ear()
        stack.enter_context(ear.listening())
        rules = folder / "rules.yml"
        rules.write_text(yaml.safe_dump(faster_rules()))
        told_alerts = stack.enter_context(alertmanager(servers[1], folder, ear.url))
        discovery = [
            told(each.log.read_text, r"where the workers answer: (http://127\.0\.0\.1:\d+/\S+)")
            for each in (sums, totals)
        ]
        ticks = stack.enter_context(producing(TICKS, folder / "sums"))
        server = stack.enter_context(prometheus(servers[0], folder, discovery, exporter, rules, told_alerts, [ticks]))
        yield Works(at, registry, proxy, sums, totals, numbers, readings, reading, server, ear)


@contextmanager
def running(name: str, root: Path) -> Generator[Running]:
    """`penstock run` in a project, for the time of the block."""
    found = Running(name, root, root / "run.log")
    found.start()
    try:
        yield found
    finally:
        (root / "hang").unlink(missing_ok=True)
        found.supervisor.signal(signal.SIGTERM)
        found.supervisor.end(10)


@contextmanager
def producing(name: str, root: Path) -> Generator[str]:
    """`penstock produce` in a project, for the time of the block; where it answers, as `host:port`."""
    log = root / "produce.log"
    command = [sys.executable, "-P", "-m", "penstock", "produce", name, "--rate", str(_TICKS_PER_S), "--port", "0"]
    process = Launched(command, log, scratch=None, directory=root)
    try:
        yield told(log.read_text, r"metrics at http://([\d.:]+)/metrics")
    finally:
        process.signal(signal.SIGTERM)
        process.end(30)


def ports_in_a_row(count: int) -> int:
    """The first of so many that nobody listens on, one behind the other."""
    while True:
        first = random.choice(_BELOW_EPHEMERAL)
        if all(is_free(first + number) for number in range(count)):
            return first


def many_keys(bootstrap_servers: str) -> None:
    """Numbers under many keys."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "queue.buffering.max.messages": _KEYS + 1})
    for number in range(_KEYS):
        producer.produce(SUMS, b"1", f"{number:x}".encode(), partition=number % SUMS_PARTITIONS)
    assert producer.flush(120) == 0


def is_caught_up(bootstrap_servers: str, group: str, topic: str, partitions: int) -> bool:
    """Whether a group has read what was there; Prometheus would remember for long how far it was behind."""
    ends = Admin(Connection(bootstrap_servers)).end_offsets([(topic, p) for p in range(partitions)])
    offsets = group_offsets(bootstrap_servers, group, topic, range(partitions))
    return sum(ends.values()) - sum(max(0, each.offset) for each in offsets) < 1_000


def all_at_work(found: Works) -> bool:
    """Whether every target is up and every partition is somebody's."""
    expected = {
        "penstock": ["up"] * 2 * WORKERS,
        "penstock-lag-exporter": ["up"],
        "penstock-producers": ["up"],
        "prometheus": ["up"],
    }
    ask = found.prometheus.total
    return (
        found.prometheus.health_of_targets() == expected
        and ask("sum(penstock_assigned_partitions)") == SUMS_PARTITIONS + READINGS_PARTITIONS
        and ask("sum(kafka_group_topic_lag_offsets)") < 1_000
    )


def until_all_at_work(found: Works) -> None:
    """Wait for it."""
    until(lambda: all_at_work(found), 120)
