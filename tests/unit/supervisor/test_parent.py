"""A worker goes with its supervisor, however that went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.supervisor.supervised import ROOT, is_alive, kill, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")

WORKER = """
import os, sys, time
from pathlib import Path
from penstock.supervisor import parent
getattr(parent, sys.argv[1])(int(sys.argv[2]))
Path(sys.argv[3]).write_text(f"{os.getpid()}\\n")
time.sleep(300)
"""
PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2], str(os.getpid()), sys.argv[3]])
time.sleep(300)
"""


@pytest.mark.parametrize(("way", "is_stopped"), [("die_with", False), ("die_with", True), ("watch", False)])
def test_it_goes_with_a_parent_that_is_killed(tmp_path: Path, way: str, is_stopped: bool) -> None:
    """The kernel does it, also to one that is stopped; the thread that looks does it where no kernel does."""
    file = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, WORKER, way, str(file)], cwd=ROOT)
    try:
        until(lambda: file.exists() and file.read_text().endswith("\n"))
        worker = int(file.read_text())
        if is_stopped:
            os.kill(worker, signal.SIGSTOP)
        assert is_alive(worker)
    finally:
        parent.kill()
        parent.wait()
    try:
        until(lambda: not is_alive(worker))
    finally:
        kill(worker)


def test_one_whose_parent_died_before_it_could_ask_does_not_begin(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    done = subprocess.run([sys.executable, "-c", WORKER, "die_with", "1", str(file)], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not file.exists()
