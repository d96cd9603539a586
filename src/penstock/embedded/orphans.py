"""Brokers whose launcher was killed, on systems where the kernel does not end them: found by their notes and killed.

Linux kills a broker with its launcher (`launcher.py`). Elsewhere each broker has a note in the user's cache folder,
named by its process id; the next cluster that starts looks through the notes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
from pathlib import Path

import msgspec

from penstock.embedded.jar_cache import default_cache

LOGGER = logging.getLogger("penstock.embedded")


class _Note(msgspec.Struct, frozen=True):
    launcher: int
    directory: str


def remember(broker: int, launcher: int, directory: Path) -> None:
    """Leave a note about a broker that has just been started.

    In an image with the jars in a cache that cannot be written there is no note: where the kernel ends orphans nothing
    is lost by it.
    """
    notes = _notes()
    try:
        notes.mkdir(parents=True, exist_ok=True)
        (notes / str(broker)).write_bytes(msgspec.json.encode(_Note(launcher, str(directory))))
    except OSError as err:
        LOGGER.info("no note about broker process %s: %s", broker, err)


def forget(broker: int) -> None:
    """It has ended in order."""
    note = _notes() / str(broker)
    if note.exists():
        note.unlink()


def kill_orphans() -> list[int]:
    """Kill brokers whose launcher is gone, and return their process ids; notes of dead ones are cleared."""
    killed: list[int] = []
    for path in _notes().glob("[0-9]*"):
        try:
            note = msgspec.json.decode(path.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            continue  # another process is clearing or writing it
        if is_alive(note.launcher):
            continue
        broker = int(path.name)
        # Ids are given out again: only a process that still names our folder is the broker of this note.
        if note.directory in _command_line(broker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(broker, signal.SIGKILL)
                killed.append(broker)
        path.unlink(missing_ok=True)
    return killed


def is_alive(pid: int) -> bool:
    """Whether there is such a process, ours or another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _command_line(pid: int) -> str:
    """What `ps` tells about a process; empty when there is none."""
    # Where there is /proc there may be no ps (slim containers).
    proc = Path("/proc", str(pid), "cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _notes() -> Path:
    return default_cache() / "running"
