"""The code of docs/reference/processors.md, for the type checkers; a test runs it, and compares it with the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

import penstock as ps


class Mail:
    """Somebody who sends mails, and remembers which."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}

    def send(self, text: str, idempotency_key: str) -> None:
        """Send it, unless it was sent."""
        self.sent.setdefault(idempotency_key, text)


MAIL = Mail()
LINES = ps.Topic("lines", key=str, value=str)
NUMBERED = ps.Topic("numbered", key=str, value=str)

NUMBERS = ps.StoreSpec("numbers", key=str, value=int)


@ps.processor(stores=[NUMBERS])
def number(record: ps.Record[str, str], ctx: ps.Context) -> Iterator[ps.Record[str, str]]:
    """Number the records of each key."""
    numbers = ctx.store(NUMBERS)
    count = numbers.get(record.key, 0) + 1
    numbers.put(record.key, count)
    yield record.with_value(f"{count} {record.value}")


pipeline = ps.Pipeline("numbered")
pipeline.stream(LINES).process(number).to(NUMBERED)


@ps.processor(stores=[NUMBERS])
class Every:
    """Pass on every n-th record of a key."""

    def __init__(self, n: int = 10) -> None:
        self.n = n

    def open(self, ctx: ps.Context) -> None:
        """Called before the first record of a task."""
        self.numbers = ctx.store(NUMBERS)

    def process(self, record: ps.Record[str, str], ctx: ps.Context) -> Iterator[ps.Record[str, str]]:
        """Called with each record."""
        count = self.numbers.get(record.key, 0) + 1
        self.numbers.put(record.key, count)
        if count % self.n == 0:
            yield record
        else:
            ctx.logger.debug("left out")

    def close(self) -> None:
        """Called when the task ends; not after a crash."""


LEVELS = ps.StoreSpec("levels", key=tuple[str, int], value=int)  # (river, hour) -> centimetres


@ps.processor(stores=[LEVELS])
def highest_of_a_day(record: ps.Record[str, int], ctx: ps.Context) -> Iterator[ps.Record[str, int]]:
    """Emit the highest level that a river had in the last 24 hours."""
    levels = ctx.store(LEVELS)
    hour = ctx.event_time_ms // 3_600_000
    levels.put((record.key, hour), record.value)
    for key, _ in levels.scan((record.key, 0), (record.key, hour - 23)):
        levels.delete(key)
    yield record.with_value(max(level for _, level in levels.prefix((record.key,))))


class Total(msgspec.Struct, frozen=True):
    """Version 1 was a bare number of cents."""

    cents: int
    currency: str


def upgraded(_version: int, stored: Any) -> Total:
    """`stored` is made of plain dicts, lists and scalars."""
    return Total(cents=stored, currency="EUR")


TOTALS = ps.StoreSpec("totals", key=str, value=Total, version=2, upgrade=upgraded)


def notify(record: ps.Record[str, str], ctx: ps.Context) -> Iterator[ps.Record[str, str]]:
    """Ask for a mail, at least once; the key tells the mail server that it has sent it already."""
    MAIL.send(record.value, idempotency_key=ctx.idempotency_key())
    ctx.logger.info("asked for a mail")  # never the payload: logs are read by more people than topics
    yield record


def parsed(record: ps.Record[str, str], _: ps.Context) -> Iterator[ps.Record[str, int]]:
    """Numbers as numbers."""
    if not record.value.isdecimal():
        raise ps.BadRecord("no number", reason="number")
    yield record.with_value(int(record.value))
