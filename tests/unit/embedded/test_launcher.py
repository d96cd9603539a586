"""The process between us and a broker; the broker here is a shell that sleeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from penstock.embedded import launcher

SLEEPER = ("/bin/sh", "-c", "exec sleep 300")


def launch(scratch: Path | str = "", command: Sequence[str] = SLEEPER) -> tuple[subprocess.Popen[bytes], int]:
    """Start a launcher of ours; returns it and the broker's process id."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(scratch), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def close(process: subprocess.Popen[bytes]) -> None:
    """Let go of a launcher's pipes."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Have the launcher send a signal."""
    assert process.stdin is not None
    process.stdin.write(bytes([number]))
    process.stdin.flush()


def until(true: Callable[[], bool]) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state(pid: int) -> str:
    """The letter that the kernel gives a process; empty when there is none, or only its exit code is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0].replace("Z", "")
    except (FileNotFoundError, ProcessLookupError):
        return ""


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


@needs_proc
def test_signals_reach_the_broker() -> None:
    process, broker = launch()

    send(process, signal.SIGSTOP)
    until(lambda: state(broker) == "T")
    send(process, signal.SIGCONT)
    until(lambda: state(broker) == "S")
    send(process, signal.SIGKILL)

    assert process.wait(10) == 128 + signal.SIGKILL
    assert state(broker) == ""
    close(process)


@needs_proc
def test_letting_go_of_the_launcher_ends_the_broker() -> None:
    process, broker = launch()
    assert process.stdin is not None

    process.stdin.close()

    assert process.wait(10) == 128 + signal.SIGKILL
    assert state(broker) == ""
    close(process)


def test_the_brokers_end_is_the_launchers() -> None:
    process, _ = launch(command=("/bin/sh", "-c", "exit 7"))

    assert process.wait(10) == 7
    close(process)


@needs_proc
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_broker_and_its_scratch_folder_go_with_the_owner(tmp_path: Path, is_stopped: bool) -> None:
    """The owner here is a process that is killed; a stopped broker goes too."""
    scratch = tmp_path / "cluster" / "node-1"
    scratch.mkdir(parents=True)
    script = (
        "import os, subprocess, sys, time\n"
        "launcher = subprocess.Popen([sys.executable, '-I', '-S', *sys.argv[1:2], str(os.getpid()), *sys.argv[2:]],\n"
        "    stdin=subprocess.PIPE)\n"
        "time.sleep(300)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, launcher.__file__, str(scratch), *SLEEPER], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        broker = int(owner.stdout.readline())
        if is_stopped:
            os.kill(broker, signal.SIGSTOP)
        assert state(broker)
        owner.kill()

    until(lambda: state(broker) == "")
    until(lambda: not scratch.parent.exists())


@needs_proc
def test_a_pipe_that_another_child_keeps_open_does_not_keep_the_broker(tmp_path: Path) -> None:
    """A forked worker of the owner holds the write end too; then the changed parent tells that the owner is gone."""
    script = (
        "import os, subprocess, sys, time\n"
        "launcher = subprocess.Popen([sys.executable, '-I', '-S', *sys.argv[1:2], str(os.getpid()), *sys.argv[2:]],\n"
        "    stdin=subprocess.PIPE)\n"
        "worker = os.fork()\n"
        "time.sleep(300) if worker == 0 else None\n"
        "open('worker', 'w').write(str(worker))\n"
        "time.sleep(300)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, launcher.__file__, "", *SLEEPER], stdout=subprocess.PIPE, cwd=tmp_path
    ) as owner:
        assert owner.stdout is not None
        broker = int(owner.stdout.readline())
        until(lambda: (tmp_path / "worker").exists() and (tmp_path / "worker").read_text() != "")
        owner.kill()

    until(lambda: state(broker) == "")
    os.kill(int((tmp_path / "worker").read_text()), signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it on Linux only; orphans.py elsewhere")
def test_a_broker_goes_with_its_launcher() -> None:
    process, broker = launch()
    until(lambda: Path(f"/proc/{broker}/cmdline").read_bytes().startswith(b"sleep"))  # no longer the launcher's fork

    process.kill()
    process.wait(10)

    until(lambda: state(broker) == "")
    close(process)
