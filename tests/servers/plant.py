"""All that is watched: a pipeline at work on numbers that keep coming, the lag exporter, and Prometheus."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from confluent_kafka import Producer

from penstock.embedded.launched import Launched
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.numbers_topic import PARTITIONS, Numbers
from tests.broker.supervisor.project import Project
from tests.servers.prometheus import Prometheus, prometheus

WORKERS: Final = 2
COMMIT: Final = "c0ffee"
"""Of the project, as an image would say."""
_PAUSE_S: Final = 0.05


class Traffic:
    """Records under a few keys that keep coming while the block lasts.

    Args:
        bootstrap_servers: of the cluster.
        topic: is made.
        partitions: of it.
        value: of every record.
    """

    def __init__(self, bootstrap_servers: str, topic: str, partitions: int = PARTITIONS, value: bytes = b"1") -> None:
        Admin(Connection(bootstrap_servers)).create([TopicSettings(topic, partitions)])
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
        self._topic, self._partitions, self._value = topic, partitions, value
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        left = self._producer.flush(30)
        del self._producer  # or it would call for a broker that is gone
        assert left == 0 or exc is not None

    def poison(self, trace_id: str = "") -> None:
        """A record that is no number; of this trace, if any."""
        self.add(
            b"no number", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01".encode()} if trace_id else {}
        )

    def add(self, value: bytes, partition: int = 0, headers: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """One that is not like the others."""
        self._producer.produce(
            self._topic, value, f"key-{partition}".encode(), partition=partition, headers=dict(headers)
        )

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_S):
            for partition in range(self._partitions):
                self.add(self._value, partition)
            self._producer.poll(0)


@dataclass(frozen=True, slots=True)
class Plant:
    """It, at work.

    Attributes:
        kafka: where.
        project: the pipeline's.
        topic: what it reads.
        supervisor: its command.
        traffic: what comes in.
        prometheus: who watches.
    """

    kafka: KafkaUnderTest
    project: Project
    topic: str
    supervisor: subprocess.Popen[str]
    traffic: Traffic
    prometheus: Prometheus


@contextmanager
def plant(kafka: KafkaUnderTest, program: str, folder: Path, name: str) -> Generator[Plant]:
    """Runs for the time of the block; at its beginning every worker has been scraped and has committed.

    Args:
        kafka: where.
        program: Prometheus.
        folder: for the project, for logs and data.
        name: of the pipeline.
    """
    topic = f"{name}-numbers"
    project = Project(kafka, folder, name, Numbers(topic, 0, PARTITIONS, (0,) * PARTITIONS, frozenset()))
    project.write(pause_s=0)
    with Traffic(kafka.bootstrap_servers, topic) as traffic:
        try:
            supervisor = project.run(
                "--workers",
                str(WORKERS),
                PENSTOCK_MONITORING__PORT="0",
                PENSTOCK_MONITORING__COMMIT=COMMIT,
                PENSTOCK_STATE__CHECKPOINT_INTERVAL_MS="1000",
            )
            with (
                lag_exporter(project.root, project.name) as exporter,
                prometheus(program, folder, [discovery(project, supervisor)], exporter) as server,
            ):
                yield Plant(kafka, project, topic, supervisor, traffic, server)
        finally:
            project.close()


def discovery(project: Project, supervisor: subprocess.Popen[str]) -> str:
    """Where the supervisor tells its workers, as a URL."""
    return told(lambda: project.told(supervisor), r"where the workers answer: (http://127\.0\.0\.1:\d+/\S+)")


@contextmanager
def lag_exporter(root: Path, groups: str, **environment: str) -> Generator[str]:
    """`penstock lag-exporter` in a project, on the groups that fit; where it answers, as `host:port`."""
    log = root / "exporter.log"
    command = [sys.executable, "-P", "-m", "penstock", "lag-exporter"]
    options = ["--groups", groups, "--interval", "1", "--port", "0", "--compat"]
    process = Launched(
        [*command, *options], log, scratch=None, directory=root, environment={**os.environ, **environment}
    )
    try:
        yield told(log.read_text, r"lag of groups at http://([\d.:]+)/metrics")
    finally:
        process.signal(signal.SIGTERM)
        process.end(30)


def told(text: Callable[[], str], pattern: str) -> str:
    """What a program tells of itself, sooner or later."""
    until(lambda: re.search(pattern, text()) is not None)
    found = re.search(pattern, text())
    assert found is not None
    return found[1]
