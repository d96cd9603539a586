"""SIGKILL at a moment that is chosen: a process is watched from outside, and dies in the middle of what it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from demo.project import ProjectProcess
from penstock.errors import StartFailed

LOOK_EVERY_S: Final = 0.05
AT_ONCE_S: Final = 0.002
"""Between two looks for what lasts but a moment, such as an open transaction."""
PATIENCE_S: Final = 120.0

_SETTLES_S: Final = 0.1
"""What a process had asked the coordinator to commit before it was killed is committed by then, by nobody's help."""


def kill_when(
    process: ProjectProcess,
    is_so: Callable[[], bool],
    *,
    look_every_s: float = LOOK_EVERY_S,
    then_s: float = 0.0,
) -> float | None:
    """Kill a process once something is so; whatever happens, it is gone afterwards.

    Args:
        process: the victim.
        is_so: what is waited for.
        look_every_s: seconds between two looks.
        then_s: seconds that it lives on.

    Returns:
        When it was killed, as `time.monotonic` counts; None where it had ended by itself before.

    Raises:
        StartFailed: it was not so within `PATIENCE_S`.
    """
    deadline = time.monotonic() + PATIENCE_S
    killed_at = None
    try:
        while process.exit_code is None and not is_so():
            if time.monotonic() > deadline:
                raise StartFailed(f"`{process.command}` gets nowhere:\n{process.last_words()}")
            time.sleep(look_every_s)
        time.sleep(then_s)
        if process.exit_code is None:
            killed_at = time.monotonic()
    finally:
        process.kill()
    if killed_at is not None:
        time.sleep(_SETTLES_S)
    return killed_at
