"""The tutorial "Your first processor", step by step, as it stands in the documentation."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from demo.watch import GroupWatch, TopicWatch
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "first-processor.md"
KILLED = "penstock run volumes & sleep 4; kill -9 $!"
STEPS = [
    "penstock kafka up --detach",
    "penstock produce flows --limit 200",
    "penstock peek flows --limit 3",
    "penstock topology volumes",
    "penstock run volumes",
    "penstock peek volumes --limit 3",
    "penstock peek dlq.volumes.flows --limit 3",
    "penstock state get volumes content reservoir-05",
    "python check.py",
    "penstock produce flows",
    KILLED,
    "python check.py",
    KILLED,
    "python check.py",
    "penstock run volumes",
    "python check.py",
    "penstock kafka down",
]
HOURS = 2_000


def of(text: str) -> list[tuple[int, int]]:
    """The figures "so many of so many" in what check.py prints."""
    found = re.findall(r"([\d,]+) of ([\d,]+)", text)
    return [(int(left.replace(",", "")), int(right.replace(",", ""))) for left, right in found]


class Reader:
    """Somebody in front of the page, on a cluster that others use too: the names are this reader's own."""

    def __init__(self, kafka: KafkaUnderTest, prefix: str, folder: Path, request: pytest.FixtureRequest) -> None:
        self._folder, self._request = folder, request
        self.flows, self.volumes = f"{prefix}-flows", f"{prefix}-volumes"
        self.dead_letters = f"dlq.{self.volumes}.{self.flows}"
        self._topic = TopicWatch(kafka.bootstrap_servers, self.flows)
        self._group = GroupWatch(kafka.bootstrap_servers, self.volumes, [self.flows])
        self._variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def own(self, text: str, border: str) -> str:
        """The text with this reader's names, where a name stands between borders."""
        names = {"dlq.volumes.flows": self.dead_letters, "volumes": self.volumes, "flows": self.flows}
        pattern = rf"(?<={border})({'|'.join(map(re.escape, names))})(?={border}|$)"
        return re.sub(pattern, lambda match: names[match[1]], text)

    def start(self, command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.own(command, " ").split(),
            cwd=self._folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._request.addfinalizer(process.kill)
        return process

    def run(self, command: str) -> str:
        """What the command prints; it has to end well."""
        process = self.start(command)
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told
        return told

    def read(self) -> int:
        """The offsets of the flows that the pipeline's group is behind."""
        return sum(self._group.committed().values())

    def left(self) -> int:
        """The offsets that it has in front of it."""
        return sum(self._topic.committed().values()) - self.read()

    def work_until(self, is_enough: Callable[[], bool], how_to_end: signal.Signals) -> None:
        """Run a worker until it is enough, then end it."""
        process = self.start("penstock run volumes")
        deadline = time.monotonic() + 120
        while not is_enough():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how_to_end)
        told, _ = process.communicate(timeout=60)
        assert process.returncode == (0 if how_to_end is signal.SIGINT else -signal.SIGKILL), told


@pytest.mark.timeout(600)
def test_the_processor_tutorial_does_what_it_says(
    kafka: KafkaUnderTest, project: Path, topic_prefix: str, request: pytest.FixtureRequest
) -> None:
    """Fewer hours, and a kill when something is committed instead of four seconds later; all else as it stands."""
    page = PAGE.read_text()
    reader = Reader(kafka, topic_prefix, project, request)
    assert [line[2:] for line in page.splitlines() if line.startswith("$ ")] == STEPS
    for name, content in re.findall(r"^`([^`\n]+\.\w+)`\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(reader.own(content, '"').replace("HOURS = 5_000", f"HOURS = {HOURS:_}"))

    checks: list[str] = []
    for step in STEPS:
        match step.split()[:2]:
            case ["penstock", "kafka"]:
                continue
            case ["python", _]:
                checks.append(reader.run(step))
            case ["penstock", "run"] if step == KILLED:
                before = reader.read()
                reader.work_until(lambda before=before: reader.read() > before, signal.SIGKILL)  # type: ignore[misc]
                assert reader.left() > 0, "it was at the end when it was killed"
            case ["penstock", "run"]:
                reader.work_until(lambda: reader.left() == 0, signal.SIGINT)
            case _:
                told = reader.run(step)
                assert "dlq" not in step or "penstock.dlq.reason: empty" in told

    assert all(check.count("wrong in 0 reservoirs") == 2 for check in checks), checks
    (volumes, due), (dead, due_dead) = of(checks[-1])
    assert (volumes, dead) == (due, due_dead)
    assert volumes + dead == 20 * HOURS
    # The figures of the page are those of all its hours; those of the first two hundred flows are everybody's.
    assert checks[0] in page.replace("volumes", reader.volumes).replace(".flows", f".{reader.flows}")


def test_the_check_of_the_tutorial_notices_a_volume_that_is_there_twice(
    kafka: KafkaUnderTest, project: Path, topic_prefix: str, request: pytest.FixtureRequest
) -> None:
    reader = Reader(kafka, topic_prefix, project, request)
    (check,) = re.findall(r"^`check.py`\n\n```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (project / "check.py").write_text(reader.own(check, '"'))
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "allow.auto.create.topics": False})
    Admin(Connection(kafka.bootstrap_servers)).create(
        [TopicSettings(name, 1) for name in (reader.flows, reader.volumes, reader.dead_letters)]
    )
    for topic, m3 in ((reader.flows, 5), (reader.flows, -9), (reader.volumes, 5), (reader.dead_letters, -9)):
        producer.produce(topic, b'{"hour": 1, "m3": %d}' % m3, b"reservoir-01")
    producer.flush(30)
    assert reader.run("python check.py").count("1 of 1, wrong in 0 reservoirs") == 2
    producer.produce(reader.volumes, b'{"hour": 1, "m3": 5}', b"reservoir-01")
    producer.flush(30)
    assert "2 of 1, wrong in 1 reservoirs" in reader.run("python check.py")
