"""Says which code is slow while it is at it: a handler that hangs writes no log line of its own.

One daemon thread that looks now and then. It reads and logs, and changes nothing; the worker knows nothing of it.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NamedTuple, Self

from penstock.clock import Clock
from penstock.runtime.route import Step
from penstock.runtime.staging import LOGGER
from penstock.runtime.task import Task

_OURS = "penstock."


class AtWork(NamedTuple):
    """A task whose batch is being processed.

    Attributes:
        task: the task.
        since_s: since when, on the worker's monotonic clock.
        thread: the worker's, as `threading.get_ident` gives it.
    """

    task: Task
    since_s: float
    thread: int


class Watchdog:
    """Warns when a batch takes longer than it should, and again each time that twice as much has passed.

    Use it as a context manager: the thread ends with the block.

    Args:
        at_work: what is being processed now; None = nothing.
        slow_s: how long a batch may take without a word.
        max_poll_interval_s: after which the group takes the partitions away, for the message.
        clock: the worker's.
    """

    def __init__(
        self, at_work: Callable[[], AtWork | None], *, slow_s: float, max_poll_interval_s: float, clock: Clock
    ) -> None:
        self._at_work = at_work
        self._slow_s = slow_s
        self._max_poll_interval_s = max_poll_interval_s
        self._clock = clock
        self._told: tuple[float, float] = (0.0, 0.0)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="penstock-watchdog", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def look(self) -> None:
        """Warn if it is time to."""
        at_work = self._at_work()
        if at_work is None:
            return
        lasted_s = self._clock.monotonic_s() - at_work.since_s
        of, next_at_s = self._told
        if of != at_work.since_s:
            next_at_s = self._slow_s
        if lasted_s >= next_at_s:
            self._told = (at_work.since_s, 2 * lasted_s)
            self._warn(at_work, lasted_s)

    def _watch(self) -> None:
        while not self._is_over.wait(self._slow_s / 4):
            self.look()

    def _warn(self, at_work: AtWork, lasted_s: float) -> None:
        batch = at_work.task.in_hand
        extra: dict[str, object] = {"task": str(at_work.task.id)}
        what = "its batch"
        if batch is not None:
            extra |= {"topic": batch.topic, "partition": batch.partition, "offset": batch.offsets[0]}
            what = f"{len(batch)} records from {batch.topic}[{batch.partition}]@{batch.offsets[0]} on"
        LOGGER.warning(
            "task %s: %s, at work on %s for %.0f s; after %.0f s without a poll the group gives its partitions away",
            at_work.task.id,
            _place(sys._current_frames().get(at_work.thread)),  # noqa: SLF001 - the one way to see another thread's code
            what,
            lasted_s,
            self._max_poll_interval_s,
            extra=extra,
        )


def _place(frame: FrameType | None) -> str:
    """Operator, user function and line that a thread is in, without a value of a variable."""
    inner: FrameType | None = None
    outer: FrameType | None = None
    operator = "no operator"
    for each, _ in traceback.walk_stack(frame):
        if each.f_code is Step.execute.__code__:
            step = each.f_locals.get("self")
            operator = f"operator '{step.node.name}'" if isinstance(step, Step) else operator
            break
        if not each.f_globals.get("__name__", "").startswith(_OURS):
            inner, outer = inner or each, each
    if outer is None or inner is None:
        return operator
    told = f"{operator} in {_line(outer)}"
    return told if inner is outer else f"{told}, at {_line(inner)}"


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno})"
