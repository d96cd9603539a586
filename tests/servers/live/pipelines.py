"""The pipelines of the proof: sums of numbers, as text, and totals of readings, as Avro from a registry; a producer.

Files in the project's folder say what user code is to do wrong: `hang` makes it hang, `refuse` makes it fail for one
value, which stops a task as its policy says. Of the producer's rows one in twenty is bad.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

REFUSED: Final = 13

_SUMS: Final = """
import time
from pathlib import Path
import penstock as ps

NUMBERS = ps.Topic("numbers", key=str, value=str)
SUMS = ps.Topic("sums-so-far", key=str, value=str, partitions=2)


def parse(text: str) -> int:
    while Path("hang").exists():
        time.sleep(0.05)
    return int(text)


pipeline = ps.Pipeline("sums", on_error="dead_letter")
(
    pipeline.stream(NUMBERS)
    .map(parse, name="parse")
    .aggregate(int, lambda total, number: total + number, name="sum")
    .to_stream()
    .map(str, name="show")
    .to(SUMS)
)
"""
_TOTALS: Final = """
from pathlib import Path
import penstock as ps

READINGS = ps.Topic("readings", key=str, value=ps.avro(schema='{schema}'))
TOTALS = ps.Topic("totals-so-far", key=str, value=str, partitions=2)


def celsius(reading: dict[str, int]) -> int:
    if reading["celsius"] == {refused} and Path("refuse").exists():
        raise ValueError("out of range")
    return reading["celsius"]


pipeline = ps.Pipeline("totals", on_error="fail")
(
    pipeline.stream(READINGS, on_error="dead_letter")
    .map(celsius, name="celsius")
    .aggregate(int, lambda total, number: total + number, name="add")
    .to_stream()
    .map(str, name="show")
    .to(TOTALS)
)
"""
_TICKS: Final = """
from collections.abc import Iterator
from itertools import count
import penstock as ps

TICKS = ps.Topic("ticks", key=str, value=str, partitions=1)


def to_record(number: int) -> ps.Record[str, str]:
    if number % 20 == 0:
        raise ps.BadRow("one in twenty", reason="planted")
    return ps.Record(key="tick", value=str(number))


@ps.producer("ticks", topic=TICKS, convert=to_record, total=lambda: 100_000)
def ticks(cursor: int | None) -> Iterator[tuple[int, int]]:
    for number in count((cursor or 0) + 1):
        yield number, number
"""
_CONFIGURATION: Final = """
[project]
name = "live"

[kafka]
bootstrap_servers = "{bootstrap_servers}"

[kafka.consumer]
"max.poll.interval.ms" = 50000

[registry]
url = "{registry}"

[processing]
workers = 2
instance = "live"
session_timeout_ms = {session_timeout_ms}
max_deaths_per_minute = 20

[state]
checkpoint_interval_ms = {checkpoint_interval_ms}

[monitoring]
port = {port}
objective_time_lag_ms = 20000
"""
_NO_ID: Final = 1 << 30
_READING: Final = {"type": "record", "name": "Reading", "fields": [{"name": "celsius", "type": "int"}]}


class Readings:
    """Readings in the frame of a registry's serialiser, in the one schema or, `newer`, in the next.

    Args:
        registry: its URL.
        topic: of which they are the values.
    """

    def __init__(self, registry: str, topic: str) -> None:
        self._subject = f"{registry}/subjects/{topic}-value/versions"
        self._id = self._registered(_READING)
        self._newer_id = 0

    def learn(self) -> None:
        """Register the newer schema."""
        humidity = {"name": "humidity", "type": "int", "default": 0}
        self._newer_id = self._registered({**_READING, "fields": [*_READING["fields"], humidity]})

    def value(self, celsius: int) -> bytes:
        """Below 64."""
        return struct.pack(">bIB", 0, self._id, 2 * celsius)

    def unexplained(self, celsius: int) -> bytes:
        """With an id that the registry has never given."""
        return struct.pack(">bIB", 0, _NO_ID, 2 * celsius)

    def newer(self, celsius: int) -> bytes:
        """With a humidity, likewise."""
        return struct.pack(">bIBB", 0, self._newer_id, 2 * celsius, 100)

    def _registered(self, schema: object) -> int:
        asked = Request(  # noqa: S310 - ours
            self._subject,
            json.dumps({"schema": json.dumps(schema)}).encode(),
            {"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
            return int(json.load(answer)["id"])


def write_sums(root: Path, bootstrap_servers: str, registry: str) -> None:
    """A project. A dead worker is missed after ten seconds, so that its partitions are seen to be read by nobody."""
    settings = _CONFIGURATION.format(
        bootstrap_servers=bootstrap_servers,
        registry=registry,
        session_timeout_ms=10_000,
        checkpoint_interval_ms=30_000,
        port=0,
    )
    _write(root, "processors/sums.py", _SUMS, settings)
    _write(root, "producers/ticks.py", _TICKS, settings)


def write_totals(root: Path, bootstrap_servers: str, registry: str, port: int) -> None:
    """Likewise; checkpoints come often, so that one that cannot be written is soon stale.

    Its supervisor has the same port in each of its lives, for Prometheus asks there.
    """
    settings = _CONFIGURATION.format(
        bootstrap_servers=bootstrap_servers,
        registry=registry,
        session_timeout_ms=3_000,
        checkpoint_interval_ms=2_000,
        port=port,
    )
    _write(root, "processors/totals.py", _TOTALS.format(schema=json.dumps(_READING), refused=REFUSED), settings)


def _write(root: Path, file: str, code: str, settings: str) -> None:
    (root / file).parent.mkdir(parents=True)
    (root / file).write_text(code)
    (root / "penstock.toml").write_text(settings)
