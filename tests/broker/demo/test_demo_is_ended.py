"""A demo that is ended on its way, by whatever signal, leaves no process behind: no worker, no broker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.harness.victims import ROOT, until

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at processes in /proc"),
]


def command_lines() -> Iterator[str]:
    """Of all processes that there are."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile


def started_by(demo: int) -> list[str]:
    """The project's commands, and what stands between the demo and its broker."""
    its_own = re.compile(rf"/demo/command\.py {demo} |/embedded/launcher\.py {demo} ")
    return [line for line in command_lines() if its_own.search(line)]


def is_running(demo: int, program: str) -> bool:
    return any(program in line for line in started_by(demo))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.full),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.full),
    ],
)
def test_nothing_survives_a_demo_that_is_ended(number: signal.Signals, exit_code: int) -> None:
    """Ended as soon as it publishes: its producer and its broker are at work."""
    demo = subprocess.Popen([sys.executable, "-m", "demo", "--rate", "500"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until(lambda: demo.poll() is not None or is_running(demo.pid, "command.py"))
        assert is_running(demo.pid, "launcher.py"), "it has a broker of its own"
        demo.send_signal(number)
        assert demo.wait(60) == exit_code
        until(lambda: not started_by(demo.pid))
    finally:
        demo.kill()
        demo.wait()
