"""A dead letter that its topic takes: whole if it can be, else with less and less in it.

The headers name the place where the original stands, so nothing is lost but convenience.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from penstock.deadletter.dead_letter import REDRIVE_HEADERS
from penstock.deadletter.envelope import Failure, headers_of
from penstock.record import Headers

_HEADER_OVERHEAD_BYTES = 10  # two lengths, each a varint of at most five bytes
_STACK = "penstock.dlq.stack"


class Form(IntEnum):
    """How much of the original a dead letter holds, the most first."""

    WHOLE = 0
    WITHOUT_STACK = 1
    WITHOUT_VALUE = 2
    POINTER = 3
    """Nothing of the original but how often it was redriven; stamped with now, for its own time may be refused."""


class Original(NamedTuple):
    """The record as it was read."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class Letter(NamedTuple):
    """What is written; timestamp 0 = now."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int

    @property
    def size_bytes(self) -> int:
        """Kafka's own overhead left out."""
        headers = sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD_BYTES for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


def letter_of(original: Original, failure: Failure, form: Form, max_bytes: int) -> Letter:
    """The dead letter of a record.

    Args:
        original: the record.
        failure: why it went no further.
        form: the most it may hold: what held more was refused.
        max_bytes: key, value and headers together; even a pointer that exceeds it is given, for the topic to judge.
    """
    for each in Form:
        if each < form:
            continue
        made = _made(original, failure, each)
        if made.size_bytes <= max_bytes or each is Form.POINTER:
            return made
    raise AssertionError("a pointer is always made; please report")


def _made(original: Original, failure: Failure, form: Form) -> Letter:
    kept = original.headers
    if form is Form.POINTER:
        kept = tuple(pair for pair in kept if pair[0] in REDRIVE_HEADERS)  # or the guard against loops would not notice
    headers = headers_of(failure, kept)
    if form is Form.POINTER or original.timestamp_ms == 0:  # Kafka's clients write 0 as the time of now
        headers += (("penstock.dlq.timestamp", str(original.timestamp_ms).encode()),)
    if form >= Form.WITHOUT_STACK:
        headers = tuple(pair for pair in headers if pair[0] != _STACK)
    if form < Form.WITHOUT_VALUE:
        return Letter(original.key, original.value, headers, original.timestamp_ms)
    if original.value is not None:
        headers += (("penstock.dlq.truncated.bytes", str(len(original.value)).encode()),)
    if form is Form.WITHOUT_VALUE:
        return Letter(original.key, None, headers, original.timestamp_ms)
    headers += (("penstock.dlq.form", b"pointer"),)
    return Letter(None, None, headers, 0)
