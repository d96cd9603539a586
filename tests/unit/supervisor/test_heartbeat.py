"""A worker's sign of life, as a health check sees it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from penstock.supervisor.heartbeat import FOLDER, MAX_AGE_S, Heartbeat, last_beat_s
from tests.unit.publishing.in_memory import ManualClock


def check(state_directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "penstock.supervisor.heartbeat", str(state_directory)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_that_polls_is_alive_and_one_that_stopped_polling_is_not(tmp_path: Path) -> None:
    """The file is touched by polls alone: a process that hangs, or begins over and over, gives no sign."""
    heartbeat = Heartbeat(tmp_path, "sums.7f3a.0", ManualClock())
    done = check(tmp_path)
    assert (done.returncode, done.stderr.split(" (")[0]) == (1, "no worker has ever polled")
    heartbeat.on_poll(0, 0.1)
    assert check(tmp_path).returncode == 0
    long_ago_s = time.time() - MAX_AGE_S - 5
    os.utime(tmp_path / FOLDER / "sums.7f3a.0", (long_ago_s, long_ago_s))
    done = check(tmp_path)
    assert done.returncode == 1
    assert re.search(r"the last poll of a worker was 1[2-9]\d s ago", done.stderr)
    Heartbeat(tmp_path, "sums.7f3a.0", ManualClock())
    assert check(tmp_path).returncode == 1, "a start is no sign of life"


def test_the_latest_sign_counts(tmp_path: Path) -> None:
    """Workers of last year have left their files."""
    for name, at_s in (("a", 100), ("b", 250), ("c", 7)):
        Heartbeat(tmp_path, name, ManualClock()).on_poll(0, 0.0)
        os.utime(tmp_path / FOLDER / name, (at_s, at_s))
    assert last_beat_s(tmp_path, 300.0) == 50.0


def test_the_file_is_not_touched_at_every_poll(tmp_path: Path) -> None:
    clock = ManualClock()
    heartbeat = Heartbeat(tmp_path, "a", clock)
    file = tmp_path / FOLDER / "a"
    heartbeat.on_poll(0, 0.0)
    os.utime(file, (1, 1))
    clock.now_s += 0.5
    heartbeat.on_poll(0, 0.0)
    assert file.stat().st_mtime == 1
    clock.now_s += 0.6
    heartbeat.on_poll(0, 0.0)
    assert file.stat().st_mtime > 1
