"""A supervisor as a process of its own; its workers are shell scripts, which get their number and a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from penstock.logs import configure
from penstock.supervisor.supervisor import Supervisor, SupervisorRules

ROOT = Path(__file__).parents[3]


@contextmanager
def supervised(
    script: str, folder: Path, *, workers: int = 1, max_deaths: int = 5, grace_s: float = 30.0
) -> Generator[subprocess.Popen[str]]:
    """Start one; it is killed at the end of the block, should it still be there."""
    arguments = [str(workers), str(max_deaths), str(grace_s), str(folder), script]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.supervisor.supervised", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            for file in folder.glob("*.pid"):  # the workers of one that was killed
                if pid := file.read_text().strip():
                    kill(int(pid))


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    """Kill it, if it is there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> int:
    workers, max_deaths, grace_s, folder, script = sys.argv[1:]
    configure("info", "text")
    supervisor = Supervisor(
        lambda number, *, is_first: ["/bin/sh", "-c", script, "sh", str(number), folder, str(is_first)],
        int(workers),
        SupervisorRules(int(max_deaths), float(grace_s), kill_after_s=0.5),
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
