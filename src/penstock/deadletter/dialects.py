"""The dialects in which dead letters tell what failed, read into one model.

| dialect | headers | numbers as |
|---|---|---|
| ours | `penstock.dlq.*` beside `__dlq.errors.*` | text |
| Kafka's share groups, KIP-1191 | `__dlq.errors.*` | text |
| Kafka Connect | `__connect.errors.*` | text |
| Kafka Streams, KIP-1034 | `__streams.errors.*` | text |
| Spring | `kafka_dlt-*`, `retry_topic-*` | big-endian integers of 4 and 8 bytes |

A record may carry the headers of several: each hop puts its own behind those that are there. So the dialect of the last
one is spoken, and only that one's headers are taken off; those before belong to the original.

Everything that comes from outside is bounded, and nothing in it is an error: what makes no sense is noted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from penstock.deadletter.dead_letter import REDRIVE_COUNT, REDRIVE_HEADERS, REDRIVE_ID, DeadLetter, Dialect, Source
from penstock.deadletter.stack import fingerprint, place_in, skeleton
from penstock.record import Headers

MAX_HEADERS: Final = 1_000
MAX_TEXT: Final = 1_024
MAX_STACK: Final = 4_096
_MAX_STACK_READ: Final = 65_536
"""So much of a stack is looked at for its place; the last cause stands far behind."""
_MAX_PROBLEMS: Final = 10

_OURS: Final = "penstock."
_MARKERS: Final[dict[str, Dialect]] = {
    "penstock.dlq.": "penstock",
    "__connect.errors.": "connect",
    "__streams.errors.": "streams",
    "kafka_dlt-": "spring",
    "__dlq.errors.": "kafka",
}
_TAKEN_OFF: Final[dict[Dialect, tuple[str, ...]]] = {
    "penstock": ("__dlq.errors.",),
    "kafka": ("__dlq.errors.",),
    "connect": ("__connect.errors.",),
    "streams": ("__streams.errors.",),
    "spring": ("kafka_dlt-", "retry_topic-"),
    "none": (),
}
_CONNECT_STAGES: Final = {
    "KAFKA_CONSUME": "decode",
    "KEY_CONVERTER": "decode",
    "VALUE_CONVERTER": "decode",
    "HEADER_CONVERTER": "decode",
    "TRANSFORMATION": "process",
    "TASK_POLL": "process",
    "TASK_PUT": "sink",
    "KAFKA_PRODUCE": "sink",
}
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")
_OFFSET: Final = re.compile(r"[0-9]{1,18}")
_INT64: Final = 1 << 63


class _Words:
    """Headers by name. The last of a name counts; `first` is for those that pile up."""

    def __init__(self, headers: Headers) -> None:
        self._last = dict(headers[-MAX_HEADERS:])
        self._first = dict(reversed(headers[:MAX_HEADERS]))
        self.problems: list[str] = []

    def text(self, name: str, most: int = MAX_TEXT, *, first: bool = False) -> str:
        """As text, cut; empty where it is not there."""
        value = (self._first if first else self._last).get(name)
        return "" if value is None else value[: 4 * most].decode(errors="replace")[:most]

    def number(self, name: str, *, least: int = 0) -> int | None:
        """A number as decimal text."""
        text = self.text(name)
        if not text:
            return None
        if _NUMBER.fullmatch(text) and least <= int(text) < _INT64:
            return int(text)
        self._no_sense(name, "is no number")
        return None

    def integer(self, name: str, size: int) -> int | None:
        """A big-endian integer of so many bytes, the first of its name."""
        value = self._first.get(name)
        if value is None:
            return None
        if len(value) != size:
            self._no_sense(name, f"has {len(value)} bytes, not {size}")
            return None
        number = int.from_bytes(value, "big", signed=True)
        return number if number >= 0 else None  # Java's -1: not known

    def source(self, prefix: str) -> Source | None:
        """`<prefix>topic`, `partition` and `offset`, as text."""
        topic = self.text(f"{prefix}topic")
        if not topic:
            return None
        return Source(topic, self.number(f"{prefix}partition"), self.number(f"{prefix}offset"))

    def _no_sense(self, name: str, what: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(f"header {name} {what}")


def read_letter(
    topic: str,
    partition: int,
    offset: int,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    timestamp_ms: int | None,
) -> DeadLetter:
    """The record at this place as a dead letter; one without any words of a failure is of dialect `none`."""
    dialect = _dialect(headers)
    words = _Words(headers)
    told: dict[str, Any] = _READERS[dialect](words)
    stamp_ms = timestamp_ms or 0
    original_ms = told.pop("original_ms", None)
    if "is_whole" not in told:
        # Share groups copy the record only where they are told to.
        told["is_whole"] = dialect != "kafka" or key is not None or value is not None
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=stamp_ms,
        key=key,
        value=value,
        headers=tuple(pair for pair in headers if not pair[0].startswith((_OURS, *_TAKEN_OFF[dialect]))),
        dialect=dialect,
        original_ms=stamp_ms if original_ms is None else original_ms,
        redrives=words.number(REDRIVE_COUNT) or 0,
        redrive_id=words.text(REDRIVE_ID),
        problems=tuple(words.problems),
        **told,
    )


def _dialect(headers: Headers) -> Dialect:
    for name, _ in reversed(headers[-MAX_HEADERS:]):
        if name in REDRIVE_HEADERS:
            continue  # the original's: it was redriven, and failed again
        for prefix, dialect in _MARKERS.items():
            if name.startswith(prefix):
                return dialect
    return "none"


# ---------------------------------------------------------------- one each


def _penstock(words: _Words) -> dict[str, Any]:
    told = _kafka(words)
    stack = words.text("penstock.dlq.stack", MAX_STACK)
    source = told["source"]
    origin, time = words.text("penstock.dlq.origin"), words.text("penstock.dlq.time")
    restored: Headers = ((f"{_OURS}origin", origin.encode()),) if origin else ()
    if time:
        restored += ((f"{_OURS}time", time.encode()),)
    told |= {
        # A producer's row has no partition: its source is a table or a file, and its offset a cursor.
        "source": source if source is not None and source.partition is not None else None,
        "pipeline": words.text("penstock.dlq.pipeline"),
        "worker": words.text("penstock.dlq.worker"),
        "operator": words.text("penstock.dlq.operator"),
        "stage": words.text("penstock.dlq.stage"),
        "exception": words.text("penstock.dlq.exception"),
        "reason": words.text("penstock.dlq.reason"),
        "stack": stack,
        "place": words.text("penstock.dlq.place") or stack.rpartition("\n")[2],
        "failed_ms": words.number("penstock.dlq.failed.ms"),
        "attempts": words.number("penstock.dlq.attempts"),
        "key_schema_id": words.number("penstock.dlq.key.schema.id"),
        "value_schema_id": words.number("penstock.dlq.value.schema.id"),
        "original_ms": words.number("penstock.dlq.timestamp", least=-1),
        "restored": restored,
        "is_whole": not words.text("penstock.dlq.truncated.bytes") and not words.text("penstock.dlq.form"),
    }
    own = words.text("penstock.dlq.fingerprint")
    told["fingerprint"] = own if _FINGERPRINT.fullmatch(own) else _fingerprint(told)
    return told


def _kafka(words: _Words) -> dict[str, Any]:
    topic = words.text("__dlq.errors.topic")
    position = words.text("__dlq.errors.offset")
    source = None
    if topic:
        offset = int(position) if _OFFSET.fullmatch(position) else None  # a producer's is a cursor
        source = Source(topic, words.number("__dlq.errors.partition"), offset)
    told: dict[str, Any] = {
        "source": source,
        "pipeline": words.text("__dlq.errors.group"),
        "message": words.text("__dlq.errors.message"),
        "attempts": words.number("__dlq.errors.delivery.count"),
    }
    told["fingerprint"] = _fingerprint(told)
    return told


def _connect(words: _Words) -> dict[str, Any]:
    stage = words.text("__connect.errors.stage")
    connector, task = words.text("__connect.errors.connector.name"), words.text("__connect.errors.task.id")
    return _java(
        words,
        "__connect.errors.exception.stacktrace",
        source=words.source("__connect.errors."),
        pipeline=f"{connector}/{task}" if task else connector,
        operator=words.text("__connect.errors.class.name"),
        stage=_CONNECT_STAGES.get(stage, stage.lower()),
        exception=words.text("__connect.errors.exception.class.name"),
        message=words.text("__connect.errors.exception.message"),
    )


def _streams(words: _Words) -> dict[str, Any]:
    return _java(
        words,
        "__streams.errors.stacktrace",
        source=words.source("__streams.errors."),
        exception=words.text("__streams.errors.exception"),
        message=words.text("__streams.errors.message"),
    )


def _spring(words: _Words) -> dict[str, Any]:
    # Spring goes through retry topics of its own, and each hop may add where it came from: the first is the original.
    topic = words.text("kafka_dlt-original-topic", first=True)
    partition, offset = words.integer("kafka_dlt-original-partition", 4), words.integer("kafka_dlt-original-offset", 8)
    of_key = words.text("kafka_dlt-key-exception-fqcn")
    part = "key-exception" if of_key else "exception"
    exception = words.text(f"kafka_dlt-{part}-fqcn")
    cause = words.text("kafka_dlt-exception-cause-fqcn")
    return _java(
        words,
        f"kafka_dlt-{part}-stacktrace",
        source=Source(topic, partition, offset) if topic else None,
        pipeline=words.text("kafka_dlt-original-consumer-group"),
        stage="decode" if of_key or exception.endswith(".DeserializationException") else "process",
        # What is thrown is nearly always the listener container's wrapper.
        exception=cause or exception,
        message=words.text(f"kafka_dlt-{part}-message"),
        original_ms=words.integer("kafka_dlt-original-timestamp", 8),
        attempts=words.integer("retry_topic-attempts", 4),
    )


def _none(words: _Words) -> dict[str, Any]:
    del words
    return {"source": None, "fingerprint": fingerprint("none")}


def _java(words: _Words, stack: str, **told: Any) -> dict[str, Any]:
    whole = words.text(stack, _MAX_STACK_READ)
    told["stack"], told["place"] = whole[:MAX_STACK], place_in(whole)[:MAX_TEXT]
    told["fingerprint"] = _fingerprint(told)
    return told


def _fingerprint(told: dict[str, Any]) -> str:
    """By stage, class and place; where no place is told, by the message without what varies."""
    place = told.get("place") or skeleton(told.get("message", ""))
    return fingerprint(told.get("stage", ""), told.get("exception", ""), told.get("reason", ""), place)


_READERS: Final[dict[Dialect, Callable[[_Words], dict[str, Any]]]] = {
    "penstock": _penstock,
    "connect": _connect,
    "streams": _streams,
    "spring": _spring,
    "kafka": _kafka,
    "none": _none,
}
