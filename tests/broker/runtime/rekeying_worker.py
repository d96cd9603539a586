"""A worker of a pipeline with two task groups that fails where it is told to; a process of its own.

Numbers are counted and summed under their last digit, so each goes through a repartition topic; what is no number goes
to the dead letters. A number whose event time is before stream time is told as late: none may be. The process ends by
itself when both groups are done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.runtime.worker import Worker
from tests.broker.harness.failpoint import Failpoint

STEP = "by-digit"


def between(pipeline: str) -> str:
    """The repartition topic."""
    return f"{pipeline}.{STEP}.repartition"


def pipeline(name: str, topic: str, failpoint: Failpoint) -> ps.Pipeline:
    """User code on both sides of the repartition topic is two more places to fail at."""
    numbers = ps.Topic(topic, key=str, value=str)
    sums = ps.Topic(f"{name}-sums", key=str, value=str, partitions=2)

    def digit(text: str) -> str:
        failpoint.on_step("key")
        return text[-1]

    @ps.processor()
    def judge(record: ps.Record[str, str], ctx: ps.Context) -> Iterator[ps.Record[str, str]]:
        failpoint.on_step("judge")
        yield record.with_value(record.value if ctx.event_time_ms >= ctx.stream_time_ms else f"late {record.value}")

    def add(so_far: tuple[int, int], number: str) -> tuple[int, int]:
        return so_far[0] + 1, so_far[1] + int(number)

    made = ps.Pipeline(name, on_error="dead_letter")
    rekeyed = made.stream(numbers, timestamp=int).key_by(digit, name=STEP, partitions=2)
    counted = rekeyed.process(judge).aggregate(lambda: (0, 0), add, name="sum", value=tuple[int, int])
    counted.to_stream().map(lambda found: f"{found[0]} {found[1]}", name="show").to(sums)
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
    parser.add_argument("--timeout-ms", type=int, default=10_000)
    parser.add_argument("--purge-interval-s", type=float, default=1e9)
    args = parser.parse_args()
    around = WorkerSurroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        state_directory=args.state,
        transaction_timeout_ms=args.timeout_ms,
        transaction_budget_ms=args.timeout_ms * 3 // 4,
        purge_interval_s=args.purge_interval_s,
        consumer_options={"session.timeout.ms": 1_500, "heartbeat.interval.ms": 300},
        limits=WorkerLimits(commit_interval_s=0.005, max_batch_records=50),
    )
    failpoint = Failpoint(args.step, args.nth, args.action, args.state)
    last = {(args.topic, place): int(offset) for place, offset in enumerate(args.until.split(","))}
    try:
        with opened(pipeline(args.pipeline, args.topic, failpoint).topology(), around, failpoint) as worker:
            admin = Admin(around.connection)
            while not (worker.is_idle and is_done(worker, last, admin, between(args.pipeline))):
                worker.step()
            failpoint.on_step("close")
            worker.close()
            failpoint.on_step("closed")
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    failpoint.write_steps()
    return 0


def is_done(worker: Worker, last: dict[tuple[str, int], int], admin: Admin, topic: str) -> bool:
    """Whether every number is dealt with on both sides, as the committed offsets say."""
    committed = {p: offset for task in worker.tasks.values() for p, offset in task.committed.next_offsets.items()}
    if any(committed.get(partition, 0) < offset for partition, offset in last.items()):
        return False
    ends = admin.end_offsets([(topic, 0), (topic, 1)])
    return all(committed.get(partition, 0) >= end for partition, end in ends.items())


if __name__ == "__main__":
    sys.exit(main())
