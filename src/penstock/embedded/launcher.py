"""The process between us and one broker: it makes the broker die with us, however we die.

Run as a script, without site-packages, so that it starts in 20 ms and stays small. In: bytes on standard input, each
the number of a signal for the broker; the end of input, or another parent than at the start, means that the owner is
gone. Out: the broker's process id in one line on standard output, and the broker's end as its own.

Why a process of its own: PR_SET_PDEATHSIG follows the *thread* that forked. Set by a user's program it would fire when
some worker thread ends. This process has one thread, which does nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 1.0
_NO_SCRATCH = ""


def main(owner: int, scratch: str, command: list[str]) -> int:
    """Run `command` until it ends or the owner does; then `scratch` is removed, if it is the owner who went."""
    wake = _wake_on_child_end()
    broker = _fork(command)
    os.write(sys.stdout.fileno(), b"%d\n" % broker)
    owner_is_gone = False
    while True:
        if not owner_is_gone and (not _pass_signals_on(broker, wake) or os.getppid() != owner):
            owner_is_gone = True
            os.kill(broker, signal.SIGKILL)
        ended, status = os.waitpid(broker, 0 if owner_is_gone else os.WNOHANG)
        if ended:
            break
    if owner_is_gone and scratch != _NO_SCRATCH:
        _remove(Path(scratch))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _wake_on_child_end() -> int:
    """A descriptor that becomes readable when the broker ends."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return readable


def _fork(command: list[str]) -> int:
    launcher = os.getpid()
    broker = os.fork()
    if broker == 0:
        _die_with(launcher)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # the log file
        os.execv(command[0], command)  # noqa: S606 - no shell is what is wanted
    return broker


def _die_with(launcher: int) -> None:
    """Have the kernel kill this process when the launcher dies. Linux only; elsewhere `orphans.py` cleans up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it died before the request was made
        os._exit(1)


def _pass_signals_on(broker: int, wake: int) -> bool:
    """Wait for something to happen; False when the owner has let go of us."""
    readable, _, _ = select.select([0, wake], [], [], _LOOK_EVERY_S)
    if wake in readable:
        os.read(wake, 512)
    if 0 in readable:
        numbers = os.read(0, 512)
        for number in numbers:
            os.kill(broker, number)  # not reaped yet, so the id is still the broker's
        return bool(numbers)
    return True


def _remove(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    with contextlib.suppress(OSError):
        scratch.parent.rmdir()  # the last node's launcher finds it empty


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
