"""Asks for the extents of topics that the client does not know, many at once, as tasks do that start together."""

from __future__ import annotations

import sys

from penstock.errors import PenstockError
from penstock.kafka.client import Connection
from penstock.kafka.extents import Extents

AT_ONCE = 16


def main() -> None:
    """Arguments: the brokers, and how often."""
    asks = Extents(Connection(sys.argv[1]), "asks")
    for time in range(int(sys.argv[2])):
        answers = [asks.ask([(f"unknown-{time}-{number}", 0)]) for number in range(AT_ONCE)]
        for answer in answers:
            # There are none: each search goes on until the brokers have said so.
            assert isinstance(answer.exception(30), PenstockError)
    asks.close()


if __name__ == "__main__":
    main()
