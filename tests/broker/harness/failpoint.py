"""Fails a process at a named step, and proves that it did; used by programs that crash tests start."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from penstock.errors import OutcomeUnknown, TransactionAborted
from penstock.runtime.hooks import WorkerHooks

LOG = "failpoint.log"
STEPS = "steps.txt"
FIRST_COMMIT = "first-commit.txt"
ARMED = "armed"
RELEASED = "released"


def arm(folder: Path) -> None:
    """Let a failpoint that waits begin to count."""
    (folder / ARMED).touch()


def release(folder: Path) -> None:
    """Let a process go on that holds at its failpoint."""
    (folder / RELEASED).touch()


class Failpoint(WorkerHooks):
    """Fails at the nth time a step is reached. Before it does, step and action stand on disk, in `failpoint.log`.

    * `kill`: SIGKILL at the step.
    * `kill-inside`: SIGKILL a moment after the step began, from another thread.
    * `raise`: an exception that is no record's fault and that the engine knows nothing of.
    * `abort`: one that says that nothing became visible, so that the same process discards and goes on.
    * `doubt`: one that says that nobody knows, so that it asks the log.
    * `stop`: SIGSTOP; the test continues the process.
    * `hold`: wait there until the test says `release`, in the same process.

    Args:
        step: where; one that never comes for none.
        nth: the how manyeth time.
        action: see above.
        folder: for what is written down.
        waits: whether to count from when `arm` was called only.
        after: a step that has to be reached first, after that; None = none.
    """

    def __init__(
        self, step: str, nth: int, action: str, folder: Path, *, waits: bool = False, after: str | None = None
    ) -> None:
        self.step, self.left, self.action, self.folder = step, nth, action, folder
        self._waits, self._after = waits, after
        self.seen: Counter[str] = Counter()
        self._has_committed = False

    def on_step(self, step: str) -> None:
        self.seen[step] += 1
        if self._is_reached(step):
            self._fail(step)

    def _is_reached(self, step: str) -> bool:
        if step not in {self.step, self._after} or (self._waits and not (self.folder / ARMED).exists()):
            return False
        if self._after is not None:
            if step == self._after:
                self._after = None
            return False
        self.left -= 1
        return self.left == 0

    def _fail(self, step: str) -> None:
        self._note(LOG, f"{step} {self.action}\n")
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill-inside":
                threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGKILL)).start()
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
                self._has_committed = False
            case "hold":
                while not (self.folder / RELEASED).exists():
                    time.sleep(0.01)
            case "abort":
                raise TransactionAborted(f"failpoint {step}")
            case "doubt":
                raise OutcomeUnknown(f"failpoint {step}")
            case _:
                raise MemoryError(f"failpoint {step}")

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Note when the first commit became visible: of this process, or since it was stopped."""
        del records, dead_letters
        if not self._has_committed:
            self._has_committed = True
            self._note(FIRST_COMMIT, str(time.monotonic()), mode="w")

    def on_abort(self, error: Exception) -> None:
        print(f"abort: {error}", flush=True)  # noqa: T201 - the test reads it

    def write_steps(self) -> None:
        """Note the steps that this process has reached."""
        self._note(STEPS, "\n".join(sorted(self.seen)), mode="w")

    def _note(self, name: str, text: str, mode: str = "a") -> None:
        with (self.folder / name).open(mode) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
