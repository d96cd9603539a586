"""`python -m demo`: exit code 0 if every row and every result is in its topic exactly once, 1 if not."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from pathlib import Path
from typing import NoReturn

from demo.pipelines import FOLDED, PIPELINES
from demo.run import Plan, run
from demo.screen import Screen
from penstock.errors import ExitCode, PenstockError


def main() -> int:
    """Run the demo; the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdict there")
    parser.add_argument("--seed", type=int, help="for the moments of the kills; else drawn, and printed")
    parser.add_argument(
        "--rate", type=int, metavar="N", help="flights a second at most, so that there is time to watch"
    )
    parser.add_argument(
        "--nodes", type=int, choices=(1, 3), default=1, help="brokers; of three, one after the other fails (default: 1)"
    )
    parser.add_argument(
        "--all", action="store_true", help="the re-keyed pipelines too, which takes three times as long"
    )
    options = parser.parse_args()
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"there is no folder for {options.json}")
    # Not for secrets: any number that makes the next run different will do.
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)  # noqa: S311
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, _end)
    screen = Screen()
    try:
        report = run(
            screen, Plan(seed, options.rate, pipelines=PIPELINES if options.all else FOLDED, nodes=options.nodes)
        )
    except FileNotFoundError as err:  # no flight data: the message says what to install
        screen.fail(str(err))
        return int(ExitCode.CONFIGURATION)
    except PenstockError as err:
        screen.fail(str(err))
        return int(err.exit_code)
    except KeyboardInterrupt:
        return 130
    if options.json:
        options.json.write_bytes(report.to_json())
    return 0 if report.ok else 1


def _end(number: int, _frame: object) -> NoReturn:
    """In order: what was started is taken down on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
