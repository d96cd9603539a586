"""Processes that the demo starts: killed at a moment, and never longer there than the demo is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.kill import kill_when
from demo.project import Project, ProjectProcess, environment
from penstock.errors import StartFailed
from tests.unit.supervisor.supervised import ROOT, is_alive, kill, until

LONGER_THAN_ANY_TEST_S = 400
PIPELINE = f"""
import os, time
from pathlib import Path
Path(__file__).with_name("pid").write_text(f"{{os.getpid()}}\\n")
time.sleep({LONGER_THAN_ANY_TEST_S})
"""
DEMO = f"""
import sys, time
from pathlib import Path
from tests.unit.demo.test_demo_processes import project_in
project_in(Path(sys.argv[1])).start("run", "slow")
time.sleep({LONGER_THAN_ANY_TEST_S})
"""


def project_in(folder: Path) -> Project:
    """A project with a pipeline whose import does not come to an end: it needs no servers."""
    return Project(folder, environment("127.0.0.1:1", "http://127.0.0.1:1", folder / "state"), folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "processors").mkdir()
    (tmp_path / "penstock.toml").write_text('[project]\nname = "slow"\n')
    (tmp_path / "processors" / "slow.py").write_text(PIPELINE)
    return tmp_path


def worker_of(folder: Path) -> int:
    """Process id of the worker, once it has begun."""
    file = folder / "processors" / "pid"
    until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_a_worker_goes_with_a_demo_that_is_killed(folder: Path) -> None:
    demo = subprocess.Popen([sys.executable, "-c", DEMO, str(folder)], cwd=ROOT)
    try:
        worker = worker_of(folder)
        assert is_alive(worker)
    finally:
        demo.kill()
        demo.wait()
    try:
        until(lambda: not is_alive(worker))
    finally:
        kill(worker)


def test_whoever_waits_for_a_worker_is_waited_for_no_longer_once_something_is_wrong(folder: Path) -> None:
    """Else a Ctrl-C would be heard when the demo is done."""
    project = project_in(folder)
    process = project.start("run", "slow")

    def wait_and_go_wrong() -> None:
        with project.threads(1) as threads:
            threads.submit(process.finish)
            worker_of(folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_and_go_wrong()
    assert process.exit_code == -signal.SIGKILL
    with pytest.raises(StartFailed, match="the demo ends"):
        project.start("run", "slow")


@pytest.mark.parametrize("after_ms", range(0, 200, 10))
def test_a_worker_that_is_stopped_while_it_starts_has_not_failed(folder: Path, after_ms: int) -> None:
    process = project_in(folder).start("run", "slow")
    time.sleep(after_ms / 1000)
    process.stop()
    assert process.exit_code in (-signal.SIGTERM, 128 + signal.SIGTERM)


FAILS_AT_ITS_END = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("here", flush=True)
while True:
    time.sleep(0.1)
"""


def test_a_worker_that_ends_with_an_error_when_it_is_stopped_has_failed(tmp_path: Path) -> None:
    process = process_of(tmp_path, FAILS_AT_ITS_END)
    until(lambda: bool(process.printed()))
    with pytest.raises(StartFailed, match="code 7"):
        process.stop()


# ---------------------------------------------------------------- killed at a moment


def process_of(folder: Path, code: str) -> ProjectProcess:
    told, log = folder / "told", folder / "log"
    with told.open("wb") as out, log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=errors)
    return ProjectProcess(process, "penstock something", told, log)


def test_a_process_is_killed_when_the_moment_has_come_and_not_before(tmp_path: Path) -> None:
    process = process_of(tmp_path, "import time; print('here', flush=True); time.sleep(400)")
    assert kill_when(process, lambda: process.printed() == ["here"]) is not None
    assert process.exit_code == -signal.SIGKILL
    assert process.printed() == ["here"]


def test_one_that_ended_by_itself_is_not_called_killed(tmp_path: Path) -> None:
    assert kill_when(process_of(tmp_path, ""), lambda: False) is None


def test_one_whose_moment_does_not_come_is_told_with_its_last_words_and_does_not_live_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_of(tmp_path, "import time; print('I wait', flush=True); time.sleep(400)")
    until(lambda: bool(process.printed()))
    monkeypatch.setattr("demo.kill.PATIENCE_S", 0.0)
    with pytest.raises(StartFailed, match=r"(?s)`penstock something` gets nowhere:.*I wait"):
        kill_when(process, lambda: False)
    assert process.exit_code == -signal.SIGKILL
