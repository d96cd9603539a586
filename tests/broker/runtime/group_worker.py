"""One worker of several of a pipeline over the numbers; started as a process of its own, it runs until SIGTERM."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import signal
import sys
from pathlib import Path

from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from tests.broker.harness.failpoint import Failpoint
from tests.broker.runtime.crashing_worker import pipeline


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap_servers")
    parser.add_argument("pipeline")
    parser.add_argument("state", type=Path)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--beside")
    parser.add_argument("--instance", required=True)
    parser.add_argument("--session-timeout-ms", type=int, default=1_500)
    parser.add_argument("--commit-interval-ms", type=int, default=20)
    parser.add_argument("--max-batch-records", type=int, default=50)
    parser.add_argument("--protocol", choices=["classic", "consumer"], default="classic")
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--transaction-timeout-ms", type=int, default=60_000)
    parser.add_argument("--step", default="none")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--action", default="kill")
    parser.add_argument("--after", help="the failpoint counts from when this step was reached")
    parser.add_argument("--waits", action="store_true", help="the failpoint counts from when it is armed only")
    args = parser.parse_args()
    around = WorkerSurroundings(
        connection=Connection(args.bootstrap_servers),
        registry=None,
        state_directory=args.state,
        instance=args.instance,
        transaction_timeout_ms=args.transaction_timeout_ms,
        transaction_budget_ms=args.transaction_timeout_ms * 3 // 4,
        session_timeout_ms=args.session_timeout_ms,
        group_protocol=args.protocol,
        static_membership=args.static,
        limits=WorkerLimits(commit_interval_s=args.commit_interval_ms / 1000, max_batch_records=args.max_batch_records),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("penstock.runtime").setLevel(logging.DEBUG)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    failpoint = Failpoint(args.step, args.nth, args.action, args.state, waits=args.waits, after=args.after)
    topology = pipeline(args.pipeline, args.topic, failpoint, args.beside).topology()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while it is being opened
    try:
        with opened(topology, around, failpoint) as worker:
            signal.signal(signal.SIGTERM, lambda *_: worker.stop())
            worker.run()
    except PenstockError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 - the test reads it
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
