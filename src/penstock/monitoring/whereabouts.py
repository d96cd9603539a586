"""Where the workers of a machine answer: a file for each in the state directory, and a list of them for Prometheus.

A worker that took a free port is found by its file. One that was killed leaves its file behind, so a file counts only
while the process that wrote it lives.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

FOLDER: Final = "endpoints"


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """Where one worker answers.

    Attributes:
        worker: its `transactional.id`.
        pipeline: its name.
        address: `host:port`.
        pid: of its process.
    """

    worker: str
    pipeline: str
    address: str
    pid: int


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
            if _is_alive(where.pid):
                there.append(where)
    return there


def targets(there: list[Whereabouts], labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The same in the form of Prometheus' HTTP service discovery."""
    return [
        {"targets": [where.address], "labels": {"job": "penstock", "worker": where.worker, **(labels or {})}}
        for where in there
    ]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
