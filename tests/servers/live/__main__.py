"""`python -m tests.servers.live`: exit code 0 if each fault fired its alerts, no others, and each panel was filled."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from penstock.errors import ExitCode, PenstockError
from tests.servers.live.captured import capture
from tests.servers.live.faults import FAULTS
from tests.servers.live.page import findings, last_line, page
from tests.servers.live.proof import prove
from tests.servers.live.works import works

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "live-proof.md"
_MOST_S: Final = 1_800


def too_long(number: int, frame: object) -> None:
    """End, in order."""
    del number, frame
    raise TimeoutError(f"not done after {_MOST_S // 60} minutes")


def main() -> int:
    """Run the proof; the exit code."""
    parser = argparse.ArgumentParser(prog="live", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write docs/reference/{PAGE.name}")
    parser.add_argument("--only", metavar="FAULT", action="append", help="this fault; may be given several times")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for logs and data, which stay there")
    parser.add_argument("--capture", type=Path, metavar="FOLDER", help="write what the panels are answered there")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    if options.only and len(faults) != len(options.only):
        parser.error(f"faults are: {', '.join(fault.name for fault in FAULTS)}")
    if options.write and options.only:
        parser.error("only the whole of it is written")
    began_s = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {text}", flush=True)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(_MOST_S)
    try:
        with tempfile.TemporaryDirectory(prefix="penstock-live-") as scratch:
            folder = options.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            say("starting Kafka, a registry, two pipelines, the lag exporter, Prometheus and Alertmanager")
            with works(folder) as found:
                watched_s = time.time()
                proof = prove(found, say, faults)
                if options.capture:
                    capture(found.prometheus, watched_s, time.time(), options.capture)
    except PenstockError as err:
        print(err, file=sys.stderr)
        return int(err.exit_code)
    except TimeoutError as err:
        say(str(err))
        return int(ExitCode.FINDINGS)
    except KeyboardInterrupt:
        return 130
    for each in findings(proof):
        say(each)
    if options.write:
        PAGE.write_text(page(proof), encoding="utf-8")
    print(last_line(proof))
    # Of some faults alone not every panel is filled.
    is_right = all(row.is_right for row in proof.rows) if options.only else proof.is_whole
    return 0 if is_right else int(ExitCode.FINDINGS)


if __name__ == "__main__":
    sys.exit(main())
