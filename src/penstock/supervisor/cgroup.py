"""How much memory this process and its children may use, as the kernel will enforce it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_ROOT: Final = Path("/sys/fs/cgroup")
_NONE_V1: Final = 1 << 62
"""Version 1 writes a huge number for "no limit"."""


def memory_limit(membership: Path = _MEMBERSHIP, root: Path = _ROOT) -> int | None:
    """Bytes: the smallest limit of this process's cgroup and of those above it; None where none is set, or known.

    Version 2 (`memory.max`), else version 1 (`memory.limit_in_bytes`). A container often sees its own cgroup as the
    root, whatever path it is told, so folders that are not there are stepped over.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _limits(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "memory", path, "memory.limit_in_bytes")
    return min(limits, default=None)


def physical_memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _limits(root: Path, path: str, file: str) -> list[int]:
    folder = root / path.lstrip("/")
    found: list[int] = []
    for each in (folder, *folder.parents):
        if not each.is_relative_to(root):
            break
        try:
            text = (each / file).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NONE_V1:
            found.append(int(text))
    return found
