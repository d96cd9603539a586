"""The jars on disk: right ones only, filled once, by one process."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from penstock.embedded.jar_cache import jar_folder
from penstock.embedded.jar_lock import JarLock, LockedJar
from penstock.embedded.jar_sources import Arrived, Directory
from penstock.errors import StartFailed


def locked(name: str) -> LockedJar:
    """A jar whose content is its own name."""
    content = name.encode()
    return LockedJar(
        group="org.x", artifact=name, version="1", size=len(content), sha512=hashlib.sha512(content).hexdigest()
    )


LOCK = JarLock(kafka_version="9.9", roots=("org.x:a:1",), jars=(locked("a"), locked("b"), locked("c")))


def shelf(folder: Path, *names: str) -> Directory:
    """A folder with these jars in it."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}-1.jar").write_text(name)
    return Directory(folder, name=folder.name)


class Full:
    """A source that meets a full disk."""

    name = "full"

    def supply(self, wanted: Sequence[LockedJar], folder: Path, arrived: Arrived) -> str:
        del wanted, arrived
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))


def test_each_source_is_asked_for_what_those_before_it_did_not_have(tmp_path: Path) -> None:
    first, second = shelf(tmp_path / "first", "a"), shelf(tmp_path / "second", "b", "c")
    (second.path / "a-1.jar").write_text("never looked at")

    folder = jar_folder(LOCK, [first, second], tmp_path / "cache")

    assert {jar.name: jar.read_text() for jar in folder.iterdir()} == {"a-1.jar": "a", "b-1.jar": "b", "c-1.jar": "c"}


def test_a_filled_cache_needs_no_source(tmp_path: Path) -> None:
    folder = jar_folder(LOCK, [shelf(tmp_path / "all", "a", "b", "c")], tmp_path / "cache")

    assert jar_folder(LOCK, [], tmp_path / "cache") == folder


def test_a_jar_that_is_not_the_locked_one_is_named_with_both_hashes_and_not_kept(tmp_path: Path) -> None:
    source = shelf(tmp_path / "shelf", "a", "b", "c")
    (source.path / "b-1.jar").write_text("B")

    with pytest.raises(StartFailed) as caught:
        jar_folder(LOCK, [source], tmp_path / "cache")

    message = str(caught.value)
    assert "b-1.jar from shelf" in message
    assert locked("b").sha512 in message
    assert hashlib.sha512(b"B").hexdigest() in message
    assert not list((tmp_path / "cache").rglob("*.jar"))


@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_a_cache_that_was_touched_is_noticed(tmp_path: Path, harm: str) -> None:
    folder = jar_folder(LOCK, [shelf(tmp_path / "all", "a", "b", "c")], tmp_path / "cache")
    if harm == "changed":
        (folder / "c-1.jar").write_text("C")
    else:
        (folder / "c-1.jar").unlink()

    with pytest.raises(StartFailed, match=r"c-1.jar from .*cache.* is not the jar that was locked"):
        jar_folder(LOCK, [], tmp_path / "cache")


def test_a_jar_that_nobody_locked_is_not_run(tmp_path: Path) -> None:
    folder = jar_folder(LOCK, [shelf(tmp_path / "all", "a", "b", "c")], tmp_path / "cache")
    (folder / "aa-extra.jar").touch()

    with pytest.raises(StartFailed, match=r"aa-extra\.jar is none of the jars that were locked; delete it"):
        jar_folder(LOCK, [], tmp_path / "cache")


def test_what_every_source_said_is_told_when_a_jar_is_nowhere(tmp_path: Path) -> None:
    sources = [shelf(tmp_path / "first", "a"), shelf(tmp_path / "second")]

    with pytest.raises(StartFailed) as caught:
        jar_folder(LOCK, sources, tmp_path / "cache")

    message = str(caught.value)
    assert "2 of Kafka's 3 jars found nowhere, the first is b-1.jar" in message
    assert "first: 2 of 3 not there" in message
    assert "second: 2 of 2 not there" in message
    assert "penstock[embedded]" in message


def test_a_full_disk_is_told_as_such_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"disk full.*cache"):
        jar_folder(LOCK, [Full()], tmp_path / "cache")

    assert not list((tmp_path / "cache").rglob("*.part"))
    assert jar_folder(LOCK, [shelf(tmp_path / "all", "a", "b", "c")], tmp_path / "cache").is_dir()


def test_a_cache_that_cannot_be_written_is_told_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartFailed, match=r"no place for Kafka's jars \(Not a directory\).*XDG_CACHE_HOME"):
        jar_folder(LOCK, [shelf(tmp_path / "all", "a", "b", "c")], tmp_path / "file" / "cache")


FILLER = """
    import sys, time
    from pathlib import Path
    import msgspec
    from penstock.embedded.jar_cache import jar_folder
    from penstock.embedded.jar_lock import JarLock

    calls, cache, slow = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "slow"

    class Source:
        name = "source"

        def supply(self, wanted, folder, arrived):
            with calls.open("a") as file:
                file.write("called\\n")
            for jar in wanted:
                (folder / jar.file_name).write_text(jar.artifact)
                print("half", flush=True)
                sys.stdin.readline() if slow else None
            return ""

    lock = msgspec.json.decode(sys.argv[1], type=JarLock)
    print(jar_folder(lock, [Source()], cache), flush=True)
"""


def filler(tmp_path: Path, *, slow: bool) -> subprocess.Popen[str]:
    """Another process that fills the cache of this test; a slow one waits for a line after each jar."""
    script = tmp_path / "filler.py"
    script.write_text(textwrap.dedent(FILLER))
    arguments = [msgspec.json.encode(LOCK).decode(), tmp_path / "calls", tmp_path / "cache", "slow" if slow else "fast"]
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ},
    )


def waits_for_a_lock(pid: int) -> bool:
    """Whether the process is blocked on a file lock that another holds."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="looks at blocked processes in /proc")
def test_of_two_processes_one_fills_the_cache_and_both_use_it(tmp_path: Path) -> None:
    first = filler(tmp_path, slow=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "half\n"  # it is in the middle now, holding the lock
    second = filler(tmp_path, slow=False)
    deadline = time.monotonic() + 30
    while not waits_for_a_lock(second.pid):
        assert time.monotonic() < deadline, "the second process does not wait"
        time.sleep(0.01)

    told, _ = first.communicate("\n" * 3, timeout=30)
    told_second, _ = second.communicate(timeout=30)

    assert (first.returncode, second.returncode) == (0, 0)
    assert told.splitlines()[-1] == told_second.splitlines()[-1]
    assert (tmp_path / "calls").read_text() == "called\n"


def test_a_process_that_is_killed_while_it_fills_leaves_the_work_to_the_next(tmp_path: Path) -> None:
    killed = filler(tmp_path, slow=True)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "half\n"
    killed.kill()
    killed.communicate(timeout=30)
    assert [path.name for path in (tmp_path / "cache").rglob("*.jar")] == ["a-1.jar"]

    folder = jar_folder(LOCK, [shelf(tmp_path / "all", "a", "b", "c")], tmp_path / "cache")

    assert len(list(folder.iterdir())) == 3
    assert len(list((tmp_path / "cache").rglob("*.jar"))) == 3
