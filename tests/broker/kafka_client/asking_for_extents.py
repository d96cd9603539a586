"""Asks for the extents of topics that the client does not know, many at once, as tasks do that start together."""

from __future__ import annotations

import sys
import time

from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.kafka.extents import Extents

AT_ONCE = 16


def main() -> None:
    """Arguments: the brokers, and for how many seconds."""
    asks, until_s, rounds = Extents(Connection(sys.argv[1]), "asks"), time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < until_s:
        rounds += 1
        answers = [asks.ask([(f"unknown-{rounds}-{number}", 0)]) for number in range(AT_ONCE)]
        for answer in answers:
            # There are none: each search goes on until the brokers have said so.
            assert isinstance(answer.exception(30), PenstockError)
    asks.close()
    assert rounds > 10


if __name__ == "__main__":
    main()
