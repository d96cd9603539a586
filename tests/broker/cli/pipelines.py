"""A small pipeline in a project, and workers of it as processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest

SOURCE = """
import penstock as ps

WORDS = ps.Topic("{name}-in", key=str, value=str)

pipeline = ps.Pipeline("{name}")
pipeline.stream(WORDS){step}.count(name="{store}")
"""


@dataclass(frozen=True, slots=True)
class CountingProject:
    """A project of its own with one pipeline, named like it.

    Attributes:
        name: of the pipeline; its input is `<name>-in`.
        folder: where it is; the command line runs there.
        variables: its environment.
    """

    name: str
    folder: Path
    variables: dict[str, str]

    @staticmethod
    def of(kafka: KafkaUnderTest, folder: Path) -> CountingProject:
        """A new one, its input there."""
        name = f"counting-{uuid.uuid4().hex[:8]}"
        (folder / "penstock.toml").write_text('[project]\nname = "rivers"\n')
        write_pipeline(folder, name)
        Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(f"{name}-in", 2)])
        variables = {key: value for key, value in os.environ.items() if not key.upper().startswith("PENSTOCK_")}
        return CountingProject(
            name, folder, {**variables, "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        )

    def penstock(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line, as a process."""
        command = [sys.executable, "-c", "from penstock.cli.app import main; main()", *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False)

    def worker(self, *options: str) -> Running:
        """A worker of the pipeline, with all of its tasks."""
        running = Running(start_worker(self.folder, self.name, *options, variables=self.variables))
        try:
            running.until_it_is_ours()
        except BaseException:
            running.kill()
            raise
        return running


def write_pipeline(project: Path, name: str, *, store: str = "counts", step: str = "") -> None:
    """Counts words per key, in a store of this name."""
    folder = project / "processors"
    folder.mkdir(exist_ok=True)
    (folder / "counting.py").write_text(SOURCE.format(name=name, store=store, step=step))


def start_worker(
    project: Path, name: str, *options: str, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """`penstock run`, as a process."""
    return subprocess.Popen(
        [sys.executable, "-c", "from penstock.cli.app import main; main()", "run", name, *options],
        cwd=project,
        env=dict(os.environ if variables is None else variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


class Running:
    """A worker at work; ended at the latest at the end of the block."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.told = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def until_it_is_ours(self, tasks: int = 2, timeout_s: float = 60.0) -> None:
        """Wait until the worker has claimed so many tasks, as its log says."""
        pipe = self._process.stderr
        assert pipe is not None
        deadline = time.monotonic() + timeout_s
        while self.told.count(": ours, from") < tasks:
            assert time.monotonic() < deadline, self.told
            if select.select([pipe], [], [], 0.2)[0]:
                data = os.read(pipe.fileno(), 65_536)
                assert data, f"it has ended: {self.told}"
                self.told += data.decode()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        _, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, self.told + err
