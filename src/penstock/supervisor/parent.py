"""A worker never outlives its supervisor, however that died: two of its name would follow."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_LOOK_EVERY_S: Final = 0.5


def die_with(parent: int) -> None:
    """From now on this process is killed when process `parent`, which started it, is gone.

    On Linux the kernel does it. It does so when the *thread* that forked ends, so a supervisor forks on its main thread
    only. Elsewhere a thread looks twice a second.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        watch(parent)
    if os.getppid() != parent:  # it died before the request was made
        _die()


def watch(parent: int) -> None:
    """The same by looking: a thread of its own, until the end."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        _die()

    threading.Thread(target=look, name="penstock-parent", daemon=True).start()


def _die() -> None:
    # As if the kernel had done it: nothing is committed on the way out, by any handler.
    os.kill(os.getpid(), signal.SIGKILL)
