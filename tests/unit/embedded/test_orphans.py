"""Brokers whose launcher was killed where the kernel does not end them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.embedded.orphans import forget, kill_orphans, remember

GONE = 2**22 + 1  # above Linux's and macOS's largest process id


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.embedded.orphans.default_cache", lambda: tmp_path / "cache")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that names a folder on its command line, as brokers do."""
    command = ["sh", "-c", "echo begun; sleep 60 & wait", str(tmp_path / "node-1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # for a moment within exec a process has no command line at all
        yield process
        process.kill()


def test_a_broker_without_its_launcher_is_killed(tmp_path: Path, broker: subprocess.Popen[bytes]) -> None:
    remember(broker.pid, GONE, tmp_path / "node-1")

    assert kill_orphans() == [broker.pid]
    assert broker.wait(10) == -9
    assert kill_orphans() == []


def test_a_broker_with_its_launcher_is_left_alone(tmp_path: Path, broker: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen(["sleep", "60"]) as launcher:
        remember(broker.pid, launcher.pid, tmp_path / "node-1")
        assert kill_orphans() == []
        launcher.kill()
    assert broker.poll() is None


def test_a_stranger_with_the_same_process_id_is_left_alone(tmp_path: Path, broker: subprocess.Popen[bytes]) -> None:
    remember(broker.pid, GONE, tmp_path / "another")

    assert kill_orphans() == []
    assert broker.poll() is None
    assert not list((tmp_path / "cache" / "running").iterdir())


def test_a_broker_that_ended_in_order_leaves_no_note(tmp_path: Path) -> None:
    remember(GONE, GONE, tmp_path)
    forget(GONE)

    assert not list((tmp_path / "cache" / "running").iterdir())


def test_a_cache_that_cannot_be_written_keeps_no_note_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    remember(GONE, GONE, tmp_path / "node-1")
    assert kill_orphans() == []
    forget(GONE)
