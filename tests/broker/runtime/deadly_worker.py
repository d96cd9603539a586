"""A worker whose code kills the process at one record; started again by the test, as a supervisor would."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened


def kill(text: str) -> str:
    if text == "deadly":
        os.kill(os.getpid(), signal.SIGSEGV)
    return text


def main() -> int:
    servers, name, state, last, policy = sys.argv[1:]
    made = ps.Pipeline(name, on_error="dead_letter" if policy == "dead_letter" else "fail")
    made.stream(ps.Topic(f"{name}-in", key=str, value=str)).map(kill, name="kill").to(
        ps.Topic(f"{name}-out", key=str, value=str)
    )
    around = WorkerSurroundings(
        connection=Connection(servers),
        registry=None,
        state_directory=Path(state),
        transaction_timeout_ms=10_000,
        transaction_budget_ms=7_500,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.02),
    )
    try:
        with opened(made.topology(), around, WorkerHooks()) as worker:
            while True:
                worker.step()
                offsets = [o for task in worker.tasks.values() for o in task.committed.next_offsets.values()]
                if worker.is_idle and offsets and min(offsets) >= int(last):
                    break
            worker.close()
    except PenstockError as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
