"""What `penstock kafka up` leaves for other commands: who owns the project's cluster, and where it is.

The owner holds a file lock while it lives: who can take the lock knows that there is no owner, whatever the state file
says. The kernel lets go of it when the process dies, so there is nothing to clean up after a crash.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from penstock.errors import UsageError

# Those who only look hold the lock for microseconds, but they do hold it.
_LOCK_TRIES_S = 2.0
_LOCK_PAUSE_S = 0.02


class NodeState(msgspec.Struct, frozen=True):
    """One broker process."""

    node_id: int
    port: int
    pid: int | None


class OwnerState(msgspec.Struct, frozen=True, kw_only=True):
    """What other commands may know about a running cluster."""

    owner_pid: int
    started_at: datetime
    bootstrap_servers: str
    cluster_id: str
    nodes: tuple[NodeState, ...]
    registry_url: str | None
    persist: str | None
    registry_pid: int | None = None


class StateFolder:
    """The project's private folder, as far as the cluster is concerned.

    Args:
        folder: exists, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_file = folder / "kafka.log"
        self._state_file = folder / "kafka.json"
        self._lock_file = folder / "kafka.lock"

    @contextmanager
    def owned(self) -> Generator[None, None, None]:
        """Be the owner inside the block.

        Raises:
            UsageError: another process is.
        """
        with os.fdopen(os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            self._take(file)
            try:
                yield
            finally:
                self._state_file.unlink(missing_ok=True)

    def require_no_owner(self) -> None:
        """Refuse to go on when a cluster of this project is up.

        Raises:
            UsageError: it is, or it is starting.
        """
        if self.has_owner:
            raise UsageError("Kafka is up already, or starting: see `penstock kafka status`")

    @property
    def has_owner(self) -> bool:
        """Whether a process owns a cluster of this project now."""
        try:
            with self._lock_file.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def write(self, state: OwnerState) -> None:
        """Tell the others; atomically, for its owner's eyes only."""
        part = self._state_file.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(state))
        part.replace(self._state_file)

    def read(self) -> OwnerState | None:
        """The running cluster; None when there is none, or it is still starting."""
        if not self.has_owner:
            return None
        try:
            return msgspec.json.decode(self._state_file.read_bytes(), type=OwnerState)
        except FileNotFoundError:
            return None

    def _take(self, file: IO[bytes]) -> None:
        deadline = time.monotonic() + _LOCK_TRIES_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.require_no_owner()
                time.sleep(_LOCK_PAUSE_S)
            else:
                return
