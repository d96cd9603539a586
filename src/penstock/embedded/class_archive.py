"""The class archive (AppCDS): what a JVM maps instead of parsing 45 MB of jars.

The first broker that is shut down in order writes it as it exits, into a part file that is moved into place if the
broker ended well. It lies beside its jars and is named by the JDK's build: another JDK or other jars find none. A JVM
ignores an archive that does not fit, but a *cut* one kills it with SIGBUS: hence its size is part of the name.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from penstock.embedded.java import Java

_ENDED_WELL = {0, 128 + signal.SIGTERM}


def find(folder: Path, java: Java) -> Path | None:
    """The whole archive of this JDK; None when there is none."""
    for path in folder.glob(f"classes-{java.build}-*.jsa"):
        if path.stem.endswith(f"-{path.stat().st_size}"):
            return path
    return None


def part_to_write(folder: Path, java: Java) -> Path | None:
    """Where a run should write an archive; None where there is one, or none can be written."""
    if not java.can_archive or find(folder, java) is not None or not os.access(folder, os.W_OK):
        return None
    return folder / f"classes-{java.build}.{os.getpid()}.part"


def keep(part: Path, exit_code: int) -> Path | None:
    """Put a part file in its place if its writer ended well; else remove it.

    Args:
        part: from `part_to_write`.
        exit_code: the writer's, 128 + n for signal n.

    Returns:
        Where it is now; None when there is no archive.
    """
    if exit_code not in _ENDED_WELL or not part.exists():
        part.unlink(missing_ok=True)
        return None
    name = part.name.split(".")[0]
    return part.replace(part.with_name(f"{name}-{part.stat().st_size}.jsa"))
