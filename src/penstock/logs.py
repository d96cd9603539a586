"""Log records as one line each: text for people, JSON for machines.

A record carries coordinates beside its message, given as `extra={"topic": ..., "partition": ..., "offset": ...}`.
Payload values never belong into one.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import msgspec

COORDINATES = ("pipeline", "worker", "task", "producer", "topic", "partition", "offset", "txn")
"""The fields that a record may carry through `extra`, in the order in which they are shown."""

CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "uvicorn")
CLIENT = "penstock.kafka.client"
"""librdkafka's own log: connections that come and go, all of which the client mends by itself."""


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


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send every log record of this process to standard error; replaces what an earlier call set up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(CLIENT).setLevel(logging.DEBUG if level == "debug" else logging.CRITICAL)


def coordinates(record: logging.LogRecord) -> dict[str, object]:
    """The coordinates that the record carries."""
    carried = vars(record)
    return {name: carried[name] for name in COORDINATES if name in carried}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
