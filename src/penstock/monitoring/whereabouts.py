"""Where the workers of a machine answer: a file for each in the state directory, and a list of them for Prometheus.

A worker that took a free port is found by its file. One that was killed leaves its file behind, so a file counts only
while the process that wrote it lives, and not another one that was given its id: who is told of and does not answer is
an alert.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

FOLDER: Final = "endpoints"
_PROC: Final = Path("/proc")
_START_FIELD: Final = 19
"""Of /proc/<pid>/stat behind the name of the program, which may have blanks and brackets in it."""


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """Where one worker answers.

    Attributes:
        worker: its `transactional.id`.
        pipeline: its name.
        address: `host:port`.
        pid: of its process.
        began: when that began, in the kernel's ticks since the machine did; None = it does not say.
    """

    worker: str
    pipeline: str
    address: str
    pid: int
    began: int | None = None


@contextmanager
def told(state_directory: Path, where: Whereabouts) -> Generator[None]:
    """Have it found for the time of the block."""
    folder = state_directory / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{where.worker}.json"
    partial = folder / f".{where.worker}.{where.pid}"
    partial.write_bytes(msgspec.json.encode(where))
    partial.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def found(state_directory: Path) -> list[Whereabouts]:
    """Of the workers that live, by name."""
    there: list[Whereabouts] = []
    for file in sorted((state_directory / FOLDER).glob("*.json")):
        with suppress(FileNotFoundError, msgspec.DecodeError):  # it has just gone, or is of another release
            where = msgspec.json.decode(file.read_bytes(), type=Whereabouts)
            if _is_alive(where):
                there.append(where)
    return there


def targets(there: list[Whereabouts], labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The same in the form of Prometheus' HTTP service discovery."""
    return [
        {"targets": [where.address], "labels": {"job": "penstock", "worker": where.worker, **(labels or {})}}
        for where in there
    ]


def began(pid: int) -> int | None:
    """When a process began, in the kernel's ticks since the machine did; None where there is none, or no /proc."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[_START_FIELD])


def _is_alive(where: Whereabouts) -> bool:
    try:
        os.kill(where.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return where.began is None or where.began == began(where.pid)
