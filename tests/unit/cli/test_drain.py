"""Signals to a real process: the first asks, the second or the end of the grace time ends it, whatever it is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

HEAD = """
import ctypes, threading, time
from penstock.cli.drain import Drain
from penstock.logs import configure
configure("info", "text")
asked = threading.Event()
"""

IN_ORDER = """
with Drain(60) as drain:
    drain.calls(asked.set)
    print("ready", flush=True)
    assert asked.wait(60)
print("done", flush=True)
"""

STUCK = """
with Drain({grace_s}) as drain:
    drain.calls(lambda: print("asked", flush=True))
    print("ready", flush=True)
    # In C, where no signal ends the wait: a handler of Python's would never run.
    mutex, lock = ctypes.create_string_buffer(128), ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    lock(mutex)
"""

NOTHING_BEGUN = """
with Drain(60):
    print("ready", flush=True)
    while True:
        time.sleep(1_000)
"""

AFTERWARDS = """
with Drain(60) as drain:
    drain.calls(asked.set)
try:
    print("ready", flush=True)
    while True:
        time.sleep(0.1)  # short: a signal that comes a moment before a sleep is heard behind it
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Start:
    """Start such a process, and wait until it is ready."""

    def started(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HEAD + code)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        request.addfinalizer(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_for_an_end_in_order(start: Start, number: signal.Signals) -> None:
    process = start(IN_ORDER)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == "done\n"
    assert "stopping: what is done is committed" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_ends_a_process_that_hangs_in_a_library(start: Start, number: signal.Signals, code: int) -> None:
    process = start(STUCK.format(grace_s=60))
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "at once" in err


def test_the_end_of_the_grace_time_ends_it_too(start: Start) -> None:
    process = start(STUCK.format(grace_s=0.2))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "leaving with the transaction open, which loses nothing" in err


def test_before_there_is_anything_to_stop_the_first_ends_it(start: Start) -> None:
    process = start(NOTHING_BEGUN)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "nothing has begun" in err


def test_behind_the_block_signals_mean_what_they_meant_before(start: Start) -> None:
    process = start(AFTERWARDS)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("interrupted\n", 0)
    process = start(AFTERWARDS)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
