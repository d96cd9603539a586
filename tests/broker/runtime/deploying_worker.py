"""A worker with the code it is told to run, that fails where it is told to: a process of the crash tests."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from tests.broker.harness.failpoint import Failpoint
from tests.broker.runtime.deploys import PARTITIONS, VARIANTS, Names


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("pipeline")
    parser.add_argument("state", type=Path)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--until", required=True, help="offsets behind the last number, with commas")
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    args = parser.parse_args()
    around = WorkerSurroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        state_directory=args.state,
        accept_state_loss=args.accept,
        checkpoint_interval_s=0.05,
        transaction_timeout_ms=10_000,
        transaction_budget_ms=7_500,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.005, max_batch_records=10),
    )
    names = Names(args.pipeline)
    last = {(names.numbers, place): int(offset) for place, offset in enumerate(args.until.split(","))}
    try:
        hooks = Failpoint(args.step, args.nth, args.action, args.state)
        with opened(VARIANTS[args.variant](names).topology(), around, hooks) as worker:
            while True:
                worker.step()
                at = {p: o for task in worker.tasks.values() for p, o in task.committed.next_offsets.items()}
                is_done = len(worker.tasks) == PARTITIONS and all(at[p] >= offset for p, offset in last.items())
                if worker.is_idle and is_done:
                    break
            worker.close()
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
