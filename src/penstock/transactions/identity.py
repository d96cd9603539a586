"""One process per identity on this machine; across machines the coordinator fences the older one."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.errors import DuplicateIdentity


class IdentityLock:
    """An exclusive lock on `<directory>/<identity>.lock`; the kernel releases it however the process dies.

    Args:
        directory: made private (0700) if it is not there.
        identity: a `transactional.id`.

    Raises:
        DuplicateIdentity: on entering, when another live process holds it; the message names its process id.
    """

    def __init__(self, directory: Path, identity: str) -> None:
        self._path = directory / f"{identity}.lock"
        self._identity = identity
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock, or raise."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise DuplicateIdentity(
                f"'{self._identity}' is already running here as process {holder} ({self._path}); "
                "stop that process, or give this one another name"
            ) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Release; the file stays, since removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
