"""A redrive that fails where it is told to; started as a process of its own by the crash tests."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.redrive.ledger import Run
from penstock.redrive.opening import Cluster, RedriveSurroundings, new_run_id, opened
from penstock.redrive.original import Route
from penstock.redrive.selection import Condition, Selection
from penstock.redrive.staged import RedriveLimits
from tests.broker.harness.failpoint import Failpoint


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("prefix")
    parser.add_argument("state", type=Path)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    parser.add_argument("--timeout-ms", type=int, default=10_000)
    args = parser.parse_args()
    around = RedriveSurroundings(
        connection=Connection(args.bootstrap_servers),
        project="crash",
        state_directory=args.state,
        prefix=f"{args.prefix}.",
        transaction_timeout_ms=args.timeout_ms,
        transaction_budget_ms=args.timeout_ms * 3 // 4,
        limits=RedriveLimits(max_transaction_records=100),
    )
    hooks = Failpoint(args.step, args.nth, args.action, args.state)
    try:
        cluster = Cluster(around)
        run_id = new_run_id(around.clock.now_ms())
        selection = Selection(tuple(map(Condition.of, args.where)))
        letters = cluster.letters(args.topic, selection)
        with opened(
            Run(id=run_id, action="redrive", topic=args.topic, selection=str(selection)),
            around,
            hooks,
            cluster=cluster,
            selection=selection,
            readable=lambda data: None if data is None else data.decode(),
            # The pipeline that these letters name has never run here: its group is taken for there.
            route=Route(cluster.targets(), run_id, groups={f"{args.prefix}.delays"}, prefix=f"{args.prefix}."),
            letters=letters.read,
        ) as run:
            done = run.run()
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    print(json.dumps({**msgspec.to_builtins(done, str_keys=True), "offsets_read": letters.total}))  # noqa: T201 - likewise
    return 0


if __name__ == "__main__":
    sys.exit(main())
