"""Log records as one line each: text for people, JSON for machines.

A record carries coordinates beside its message, given as `extra={"topic": ..., "partition": ..., "offset": ...}`.
Payload values never belong into one.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

COORDINATES = ("pipeline", "worker", "task", "producer", "topic", "partition", "offset", "txn")
"""The fields that a record may carry through `extra`, in the order in which they are shown."""

CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "uvicorn")
CLIENT = "penstock.kafka.client"
"""librdkafka's own log: connections that come and go, all of which the client mends by itself."""
ONE_PER_S = 30.0
"""Of librdkafka's lines, one of a kind in this time."""


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z info penstock.publishing: message topic=flights partition=3`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it where there is one."""
        place = "".join(f" {name}={value}" for name, value in coordinates(record).items())
        line = f"{_time(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()}{place}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time level logger message`, coordinates, `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **coordinates(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields, enc_hook=str).decode()


class Always(logging.Filter):
    """Gives every record the coordinates of this process, where it does not carry others."""

    def __init__(self, told: Mapping[str, object]) -> None:
        super().__init__()
        self._told = dict(told)

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass."""
        for name, value in self._told.items():
            vars(record).setdefault(name, value)
        return True


class OneOfAKind(logging.Filter):
    """Lets one line of each kind pass in a while, and counts the others.

    A kind is librdkafka's facility (`FAIL`, `MAXPOLL` ...), which is the first argument of its lines: with a broker
    away it writes some for each connection attempt of each client.
    """

    def __init__(self, pause_s: float = ONE_PER_S, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._pause_s = pause_s
        self._monotonic_s = monotonic_s
        self._seen: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is the first of its kind for a while; it says how many were left out before it."""
        kind = record.args[0] if isinstance(record.args, tuple) and record.args else record.msg
        now_s = self._monotonic_s()
        passed_at_s, left_out = self._seen.get(kind, (now_s - self._pause_s, 0))
        if now_s - passed_at_s < self._pause_s:
            self._seen[kind] = (passed_at_s, left_out + 1)
            return False
        self._seen[kind] = (now_s, 0)
        if left_out:
            record.msg = f"{record.msg} ({left_out:,} more of this kind were left out)"
        return True


def configure(
    level: str, form: Literal["text", "json"], *, is_service: bool = False, always: Mapping[str, object] | None = None
) -> None:
    """Send every log record of this process to standard error; replaces what an earlier call set up.

    Args:
        level: the least important one that is shown.
        form: of a line.
        is_service: whether somebody watches this process for long: then librdkafka's warnings are shown, one of a kind
            in half a minute. Commands that end soon say themselves what is wrong. With level "debug" all are shown.
        always: coordinates that every record is to carry.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(Always(always or {}))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    client = logging.getLogger(CLIENT)
    for old in [each for each in client.filters if isinstance(each, OneOfAKind)]:
        client.removeFilter(old)
    if level == "debug":
        client.setLevel(logging.DEBUG)
    else:
        client.setLevel(logging.WARNING if is_service else logging.CRITICAL)
        client.addFilter(OneOfAKind())


def coordinates(record: logging.LogRecord) -> dict[str, object]:
    """The coordinates that the record carries."""
    carried = vars(record)
    return {name: carried[name] for name in COORDINATES if name in carried}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
