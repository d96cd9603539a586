"""A worker that parks keys and fails where it is told to; started as a process of its own by the crash tests.

Per key the pipeline lists its numbers, so that order shows. Some numbers fail until `healed` stands beside the state's
folder, where a process puts it when all input has been read. It ends by itself when nothing is parked any more.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from tests.broker.harness.failpoint import Failpoint, arm

HEALED = "healed"


def is_bad(number: int) -> bool:
    return number % 29 == 5


def pipeline(name: str, topic: str, healed: Path) -> ps.Pipeline:
    def enrich(text: str) -> str:
        if is_bad(int(text)) and not healed.exists():
            raise ValueError(text)
        return text

    retry = ps.Retry(keep="key", attempts=None, first=timedelta(milliseconds=100), longest=timedelta(milliseconds=400))
    made = ps.Pipeline(name)
    numbers = made.stream(ps.Topic(topic, key=str, value=str)).map(enrich, name="enrich", on_error=retry)
    lists = numbers.aggregate(str, lambda so_far, number: f"{so_far} {number}".strip(), name="list")
    lists.to_stream().to(ps.Topic(f"{name}-lists", key=str, value=str, partitions=2))
    return made


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("pipeline")
    parser.add_argument("state", type=Path)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--until", required=True, help="offsets behind the last number, with commas")
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    parser.add_argument("--instance", default="0")
    parser.add_argument("--waits", action="store_true", help="count steps only when all input has been read")
    args = parser.parse_args()
    args.state.mkdir(exist_ok=True)
    around = WorkerSurroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        state_directory=args.state,
        instance=args.instance,
        checkpoint_interval_s=0.05,
        transaction_timeout_ms=10_000,
        transaction_budget_ms=7_500,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.005, max_batch_records=20, max_transaction_records=60),
    )
    failpoint = Failpoint(args.step, args.nth, args.action, args.state, waits=args.waits)
    healed = args.state.with_name(HEALED)
    last = {(args.topic, place): int(offset) for place, offset in enumerate(args.until.split(","))}
    try:
        with opened(pipeline(args.pipeline, args.topic, healed).topology(), around, failpoint) as worker:
            while not (is_read(worker, last) and healed.exists() and nothing_is_parked(worker)):
                worker.step()
                if is_read(worker, last) and not healed.exists():
                    assert not nothing_is_parked(worker), "there is something to be brought back"
                    healed.touch()
                    arm(args.state)
            worker.close()
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    return 0


def nothing_is_parked(worker: Worker) -> bool:
    return worker.is_idle and all(not task.parked.counts.keys for task in worker.tasks.values())


def is_read(worker: Worker, last: dict[tuple[str, int], int]) -> bool:
    """Whether every number is processed or parked, as the committed offsets say."""
    committed = {p: offset for task in worker.tasks.values() for p, offset in task.committed.next_offsets.items()}
    return all(committed.get(partition, 0) >= offset for partition, offset in last.items())


if __name__ == "__main__":
    sys.exit(main())
