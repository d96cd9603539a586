from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError, Retriable
from penstock.state import task_directory
from penstock.state.task_directory import TaskDirectory, file_system, is_remote

HOLD = """
import sys
from pathlib import Path
from penstock.state.task_directory import TaskDirectory
with TaskDirectory(Path(sys.argv[1]), "delays.flights.0"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_directories_are_private(tmp_path: Path) -> None:
    with TaskDirectory(tmp_path / "state", "delays.flights.0") as directory:
        for path in (tmp_path / "state", tmp_path / "state/tasks", directory.path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert directory.checkpoint.parent == directory.path


def test_two_processes_do_not_share_a_task_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Retriable, match=r"'delays\.flights\.0' is held by another process"):
            TaskDirectory(tmp_path, "delays.flights.0").__enter__()
        with TaskDirectory(tmp_path, "delays.flights.1"):
            pass
        other.kill()
        other.wait()
        with TaskDirectory(tmp_path, "delays.flights.0"):
            pass


def test_a_left_directory_can_be_entered_again(tmp_path: Path) -> None:
    directory = TaskDirectory(tmp_path, "delays.flights.0")
    for _ in range(2):
        with directory, pytest.raises(Retriable):
            TaskDirectory(tmp_path, "delays.flights.0").__enter__()


def mounts(tmp_path: Path, *lines: tuple[str, str]) -> Path:
    path = tmp_path / "mountinfo"
    text = "".join(f"36 35 98:0 /root {point} rw,noatime shared:1 - {kind} source rw\n" for point, kind in lines)
    path.write_text(text)
    return path


def test_the_deepest_and_last_mount_tells_the_file_system(tmp_path: Path) -> None:
    inner = tmp_path / "with space" / "inner"
    inner.mkdir(parents=True)
    point = str(tmp_path / "with space").replace(" ", r"\040")
    found = mounts(tmp_path, ("/", "ext4"), (point, "xfs"), (point, "nfs4"), (f"{point}-not", "tmpfs"))
    assert file_system(inner, found) == "nfs4"
    assert file_system(tmp_path, found) == "ext4"
    assert file_system(tmp_path, tmp_path / "absent") is None


def test_this_machine_tells_the_file_system_of_its_root() -> None:
    if not task_directory.MOUNTS.exists():
        pytest.skip("no /proc here")
    assert file_system(Path("/proc")) == "proc"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse", "fuse.sshfs"])
def test_network_file_systems_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_remote(kind)
    found = mounts(tmp_path, ("/", kind))
    monkeypatch.setattr(task_directory, "file_system", lambda path: file_system(path, found))
    with pytest.raises(ConfigurationError, match=rf"network file system \({kind}\).*state\.directory"):
        TaskDirectory(tmp_path / "state", "delays.flights.0").__enter__()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", "apfs", None])
def test_file_systems_of_this_machine_are_taken(kind: str | None) -> None:
    assert not is_remote(kind)
