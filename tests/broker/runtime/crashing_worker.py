"""A worker that fails where it is told to; started as a process of its own by the crash tests.

Input: numbers under seven keys; every 97th is no number and goes to the dead letters. Per key the pipeline keeps a sum
and writes it out with each number. The process ends by itself when the input is dealt with.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.protocols import TransactionHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened

ROWS = 3_000


class Failpoint(TransactionHooks):
    """Fails at the nth time a step is reached: at the step, or a moment after it began."""

    def __init__(self, step: str, nth: int, action: str, log: Path) -> None:
        self.step, self.left, self.action, self.log = step, nth, action, log

    def on_step(self, step: str) -> None:
        if step != self.step:
            return
        self.left -= 1
        if self.left:
            return
        with self.log.open("a") as file:
            file.write(f"{step} {self.action}\n")
            file.flush()
            os.fsync(file.fileno())
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill-inside":
                threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGKILL)).start()
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case _:
                raise RuntimeError(f"failpoint {step}")

    def on_abort(self, error: Exception) -> None:
        print(f"abort: {error}", flush=True)  # noqa: T201 - the test reads it


def pipeline(prefix: str) -> ps.Pipeline:
    numbers = ps.Topic(f"{prefix}-numbers", key=str, value=str)
    sums = ps.Topic(f"{prefix}-sums", key=str, value=str, partitions=2)
    made = ps.Pipeline(prefix, on_error="dead_letter")
    (
        made.stream(numbers)
        .map(int, name="parse")
        .aggregate(int, lambda total, number: total + number, name="sum")
        .to_stream()
        .map(str, name="show")
        .to(sums)
    )
    return made


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("prefix")
    parser.add_argument("state", type=Path)
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    parser.add_argument("--timeout-ms", type=int, default=10_000)
    args = parser.parse_args()
    around = WorkerSurroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        state_directory=args.state,
        transaction_timeout_ms=args.timeout_ms,
        transaction_budget_ms=args.timeout_ms * 3 // 4,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.005, max_batch_records=50),
    )
    hooks = Failpoint(args.step, args.nth, args.action, args.state / "failpoint.log")
    try:
        with opened(pipeline(args.prefix).topology(), around, hooks) as worker:
            while not (worker.is_idle and done(worker)):
                worker.step()
            worker.close()
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return exc.exit_code
    return 0


def done(worker: object) -> bool:
    """Whether every number is dealt with, as the committed offsets say (three partitions, markers not counted)."""
    from penstock.runtime.worker import Worker

    assert isinstance(worker, Worker)
    committed = [offset for task in worker.tasks.values() for offset in task.committed.next_offsets.values()]
    return sum(committed) >= ROWS


if __name__ == "__main__":
    sys.exit(main())
