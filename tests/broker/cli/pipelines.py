"""A small pipeline in a project, and workers of it as processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

SOURCE = """
import penstock as ps

WORDS = ps.Topic("{name}-in", key=str, value=str)

pipeline = ps.Pipeline("{name}")
pipeline.stream(WORDS){step}.count(name="{store}")
"""


def write_pipeline(project: Path, name: str, *, store: str = "counts", step: str = "") -> None:
    """Counts words per key, in a store of this name."""
    folder = project / "processors"
    folder.mkdir(exist_ok=True)
    (folder / "counting.py").write_text(SOURCE.format(name=name, store=store, step=step))


def start_worker(project: Path, name: str, *options: str) -> subprocess.Popen[str]:
    """`penstock run`, as a process."""
    return subprocess.Popen(
        [sys.executable, "-c", "from penstock.cli.app import main; main()", "run", name, *options],
        cwd=project,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


class Running:
    """A worker at work; ended at the latest at the end of the block."""

    def __init__(self, process: subprocess.Popen[str], request: pytest.FixtureRequest) -> None:
        self._process = process
        self.told = ""
        request.addfinalizer(process.kill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
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
