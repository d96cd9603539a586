"""Where a task keeps its checkpoint: private, for one process at a time, on a disk of this machine."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from penstock.errors import ConfigurationError, Retriable

MOUNTS: Final = Path("/proc/self/mountinfo")

_REMOTE: Final = frozenset(
    (
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "pvfs2", "smb2", "smb3", "smbfs",
    )
)  # fmt: skip


class TaskDirectory:
    """One task's directory in the state directory, locked while entered; the kernel lets go however the process dies.

    Args:
        state_directory: of the project; made private (0700) if it is not there.
        task: `<pipeline>.<task group>.<partition>`.

    Attributes:
        path: of the task's directory.
    """

    def __init__(self, state_directory: Path, task: str) -> None:
        self.path = state_directory / "tasks" / task
        self._task = task
        self._descriptor: int | None = None

    @property
    def checkpoint(self) -> Path:
        """Of the task's checkpoint file."""
        return self.path / "checkpoint"

    def __enter__(self) -> Self:
        """Make the directory if needed and lock it.

        Raises:
            ConfigurationError: it lies on a network file system.
            Retriable: another process here still has the task; ask again, or restore without a checkpoint.
        """
        for directory in (self.path.parent.parent, self.path.parent, self.path):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        kind = file_system(self.path)
        if is_remote(kind):
            raise ConfigurationError(
                f"{self.path} lies on a network file system ({kind}), whose locks and syncs do not hold what "
                "checkpoints need; set state.directory to a local disk"
            )
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            # The directory itself carries the lock: there is no file whose removal would leave two locks of one name.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            os.close(descriptor)
            raise Retriable(
                f"task '{self._task}' is held by another process on this machine ({self.path}); it lets go when it has "
                "closed the task"
            ) from err
        os.fchmod(descriptor, 0o700)
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Unlock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the file system that an existing path lies on; None where the system does not tell (no /proc)."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = f"{path.resolve()}{os.sep}"
    found: tuple[int, str] | None = None
    for line in lines:
        place, _, rest = line.partition(" - ")
        point = _unescaped(place.split(" ")[4]).rstrip(os.sep) + os.sep
        # The last of equals: a later mount hides an earlier one at the same place.
        if real.startswith(point) and (found is None or len(point) >= found[0]):
            found = len(point), rest.split(" ")[0]
    return None if found is None else found[1]


def is_remote(kind: str | None) -> bool:
    """Whether a file system of this type is shared over a network, or may be."""
    return kind is not None and (kind in _REMOTE or kind.startswith("fuse."))


def _unescaped(text: str) -> str:
    """Spaces, tabs, newlines and backslashes in mountinfo are written as octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
