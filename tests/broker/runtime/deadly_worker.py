"""A worker whose code kills the process at one record; started again by the test, as a supervisor would."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened

HUNG_AFTER_S = 2.0
"""More than a batch of sound records takes where other things go on."""


def crash() -> None:
    """As native code does that reaches into nowhere."""
    os.kill(os.getpid(), signal.SIGSEGV)


def use_memory_up() -> None:
    """As the kernel does to whoever takes more memory than its cgroup has."""
    os.kill(os.getpid(), signal.SIGKILL)


def loop() -> None:
    """Python code without an end."""
    while True:
        pass


def backtrack() -> None:
    """C code without an end that one would wait for, and that lets no other thread run."""
    re.fullmatch(r"(a+)+b", "a" * 60)


def wait() -> None:
    """For a lock that nobody releases."""
    threading.Event().wait()


def ask_for_too_much() -> None:
    """More than the process may have at all: that is an exception, and no death."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    bytearray(16 << 30)


DEADLY: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (crash, use_memory_up, loop, backtrack, wait, ask_for_too_much)
}


def main() -> int:
    servers, name, state, last, policy, kind = sys.argv[1:]

    def kill(text: str) -> str:
        tried.append(text)
        if text == "deadly":
            if policy == "park" and tried.count("deadly") <= 2:  # in its batch and alone; behind that it is parked
                raise ValueError(text)
            DEADLY[kind]()
        return text

    tried: list[str] = []
    parking = ps.Retry(keep="key", first=timedelta(milliseconds=50))
    made = ps.Pipeline(name, on_error="fail" if policy == "fail" else "dead_letter")
    numbers = made.stream(ps.Topic(f"{name}-in", key=str, value=str))
    numbers = numbers.map(kill, name="kill", on_error=parking if policy == "park" else None)
    numbers.to(ps.Topic(f"{name}-out", key=str, value=str))
    around = WorkerSurroundings(
        connection=Connection(servers),
        registry=None,
        state_directory=Path(state),
        transaction_timeout_ms=10_000,
        transaction_budget_ms=7_500,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.02, hung_after_s=HUNG_AFTER_S),
    )
    try:
        with opened(made.topology(), around, WorkerHooks()) as worker:
            while True:
                worker.step()
                tasks = worker.tasks.values()
                offsets = [o for task in tasks for o in task.committed.next_offsets.values()]
                is_parked = any(task.parked.counts.keys for task in tasks)
                if worker.is_idle and not is_parked and offsets and min(offsets) >= int(last):
                    break
            worker.close()
    except PenstockError as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
