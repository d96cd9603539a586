"""A producer that fails where it is told to; started as a process of its own by the crash tests.

Rows are the numbers 0 .. ROWS-1; every 97th is bad. The failpoint is reached through the hooks that the engine offers
everyone. Before it fails, the process writes the step to its log, so that a test can prove that it was hit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import penstock as ps
from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.publishing.feed import PublishingLimits
from penstock.publishing.opening import Surroundings, opened
from tests.broker.harness.failpoint import Failpoint

ROWS = 3_000
BATCH = 150


def is_bad(row: int) -> bool:
    return row % 97 == 0


def convert(row: int) -> ps.Record[str, str]:
    if is_bad(row):
        raise ps.BadRow(f"row {row} is bad", reason="planted")
    return ps.Record(key=f"key-{row % 7}", value=str(row))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("prefix")
    parser.add_argument("state", type=Path)
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    parser.add_argument("--project", default="crash")
    parser.add_argument("--timeout-ms", type=int, default=10_000)
    args = parser.parse_args()

    @ps.producer("numbers", topic=ps.Topic(f"{args.prefix}.numbers", key=str, value=str, partitions=3), convert=convert)
    def numbers(cursor: int | None) -> Iterator[tuple[int, int]]:
        for row in range(0 if cursor is None else cursor + 1, ROWS):
            yield row, row

    around = Surroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        project=args.project,
        prefix=f"{args.prefix}.",
        state_directory=args.state,
        transaction_timeout_ms=args.timeout_ms,
        transaction_budget_ms=args.timeout_ms * 3 // 4,
        limits=PublishingLimits(max_batch_records=BATCH, max_transaction_records=2 * BATCH),
    )
    hooks = Failpoint(args.step, args.nth, args.action, args.state)
    try:
        with opened(numbers, around, hooks) as run:
            run.run()
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
