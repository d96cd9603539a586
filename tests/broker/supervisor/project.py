"""A project with one pipeline over the numbers, and `penstock run` in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import group_offsets
from tests.broker.runtime.numbers_topic import PARTITIONS, Numbers

PIPELINE = """
import os
import time
from datetime import timedelta
import penstock as ps

NUMBERS = ps.Topic("{topic}", key=str, value=str)
SUMS = ps.Topic("{name}-sums", key=str, value=str, partitions=2)


def parse(text: str) -> int:
    time.sleep({pause_s})  # so that there is something to interrupt
    {extra}
    return int(text)


pipeline = ps.Pipeline("{name}", on_error="{on_error}", breaker={breaker})
(
    pipeline.stream(NUMBERS)
    .map(parse, name="parse")
    .aggregate(int, lambda total, number: total + number, name="sum")
    .to_stream()
    .map(str, name="show")
    .to(SUMS)
)
"""
CONFIGURATION = """
[project]
name = "numbers"

[kafka]
bootstrap_servers = "{bootstrap_servers}"

[processing]
session_timeout_ms = 1500
commit_interval_ms = 20
max_batch_records = 20
"""


@dataclass
class Project:
    """The project, and the commands that run in it.

    Args:
        kafka: where.
        root: its folder.
        name: of the pipeline.
        numbers: what it reads.
    """

    kafka: KafkaUnderTest
    root: Path
    name: str
    numbers: Numbers
    commands: list[subprocess.Popen[str]] = field(default_factory=list["subprocess.Popen[str]"])

    def write(
        self,
        *,
        pause_s: float = 0.002,
        extra: str = "pass",
        on_error: str = "dead_letter",
        breaker: str = "None",
    ) -> None:
        """Write its files; `extra` is a line of Python that sees each `text`, `breaker` an expression."""
        (self.root / "processors").mkdir(exist_ok=True)
        code = PIPELINE.format(
            topic=self.numbers.topic,
            name=self.name,
            pause_s=pause_s,
            extra=extra,
            on_error=on_error,
            breaker=breaker,
        )
        (self.root / "processors" / "sums.py").write_text(code)
        settings = CONFIGURATION.format(bootstrap_servers=self.kafka.bootstrap_servers)
        (self.root / "penstock.toml").write_text(settings)

    def run(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """`penstock run` with these options."""
        with (self.root / f"{len(self.commands)}.log").open("w") as log:
            command = subprocess.Popen(
                [sys.executable, "-P", "-m", "penstock", "run", self.name, *options],
                cwd=self.root,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.commands.append(command)
        return command

    def told(self, command: subprocess.Popen[str]) -> str:
        """What it has written."""
        return (self.root / f"{self.commands.index(command)}.log").read_text()

    def workers(self, command: subprocess.Popen[str]) -> dict[str, int]:
        """{name: process id} of the last process of each worker, as the supervisor tells them."""
        found = re.findall(r"worker is process (\d+).* worker=(\S+)", self.told(command))
        return {name: int(pid) for pid, name in found}

    def at_work(self, command: subprocess.Popen[str]) -> set[str]:
        """The workers that have claimed a task."""
        return set(re.findall(r"ours, from .* worker=(\S+)", self.told(command)))

    def committed(self) -> list[int]:
        """The group's offsets, per partition."""
        found = group_offsets(self.kafka.bootstrap_servers, self.name, self.numbers.topic, range(PARTITIONS))
        return [offset.offset for offset in found]

    def is_done(self) -> bool:
        """Whether every number is dealt with."""
        return all(now >= last for now, last in zip(self.committed(), self.numbers.last, strict=True))

    def close(self) -> None:
        """Kill what is left; workers go with their supervisors."""
        for command in self.commands:
            command.kill()
            command.wait()
