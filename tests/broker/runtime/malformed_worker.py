"""A worker over malformed records; started, killed and started again by the test."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from tests.broker.runtime import malformed_kinds


def main() -> None:
    servers, name, state, instance = sys.argv[1:]
    registry, _ = malformed_kinds.registered(name)
    around = WorkerSurroundings(
        connection=Connection(servers),
        registry=registry,
        state_directory=Path(state),
        instance=instance,
        transaction_timeout_ms=10_000,
        transaction_budget_ms=7_500,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.02, max_batch_records=200),
    )
    with opened(malformed_kinds.reading(name).topology(), around, WorkerHooks()) as worker:
        worker.run()  # until it is killed


if __name__ == "__main__":
    main()
