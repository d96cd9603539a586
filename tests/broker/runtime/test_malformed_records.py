"""Input malformed in dozens of ways: each bad record once in the dead letters, each good one once in the output."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.kafka.client import Connection
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.schemas.topic import Topic
from penstock.testing.memory_registry import MemoryRegistry
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.runtime.in_process import has_committed

pytestmark = pytest.mark.broker

SCHEMA = """{"type": "record", "name": "Order", "namespace": "shop", "fields": [
  {"name": "id", "type": "long"}, {"name": "note", "type": "string"}, {"name": "paid", "type": "boolean"},
  {"name": "tags", "type": {"type": "array", "items": "string"}}, {"name": "extra", "type": ["null", "string"]},
  {"name": "ratio", "type": "double"}]}"""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    note: str
    paid: bool
    tags: list[str]
    extra: str | None
    ratio: float
    __avro_schema__: ClassVar[str] = SCHEMA


def zigzag(number: int) -> bytes:
    """Avro's long, written down here once more so that the check shares no code with what it checks."""
    value, out = (number << 1) ^ (number >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def text(data: bytes) -> bytes:
    return zigzag(len(data)) + data


def good(frame: bytes, number: int) -> bytes:
    tags = zigzag(2) + text(b"a") + text(b"b") + zigzag(0)
    body = zigzag(number) + text(b"note") + b"\x01" + tags + zigzag(1) + text(b"more")
    return frame + body + struct.pack("<d", 0.5)


def malformed(frame: bytes) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """(kind, key, value)."""
    whole = good(frame, 7)
    yield from [
        ("no value", b"k", None),
        ("no bytes", b"k", b""),
        ("a wrong magic byte", b"k", b"\x01" + whole[1:]),
        ("text", b"k", b"hello"),
        ("JSON", b"k", b'{"id": 7}'),
        ("an unknown schema", b"k", b"\x00\x7f\xff\xff\xff" + whole[5:]),
        ("schema 0", b"k", b"\x00\x00\x00\x00\x00" + whole[5:]),
        ("a key that is no UTF-8", b"\xff\xfe", whole),
        ("a byte behind the end", b"k", whole + b"\x00"),
        ("another record behind the end", b"k", whole + whole),
    ]
    for length in (1, 4, 5, 6, 8, 11, 12, 14, 16, 18, 22, 26, len(whole) - 1):
        yield f"cut behind {length} bytes", b"k", whole[:length]
    front = frame + zigzag(7)
    rest = b"\x01" + zigzag(0) + zigzag(0) + struct.pack("<d", 0.5)
    yield from [
        ("a number without an end", b"k", frame + b"\xff" * 11),
        ("a negative length", b"k", front + zigzag(-3) + rest),
        ("a length beyond the end", b"k", front + zigzag(10**9) + rest),
        ("a length beyond reason", b"k", front + zigzag(2**62) + rest),
        ("a text that is no UTF-8", b"k", front + text(b"\xff\xfe") + rest),
        ("a boolean of 2", b"k", front + text(b"n") + b"\x02" + zigzag(0) + zigzag(0) + struct.pack("<d", 0.5)),
        ("way 2 of a union of two", b"k", front + text(b"n") + b"\x01" + zigzag(0) + zigzag(2) + struct.pack("<d", 1)),
        ("a negative way of a union", b"k", front + text(b"n") + b"\x01" + zigzag(0) + zigzag(-1) + b"\x00" * 8),
        ("an array beyond reason", b"k", front + text(b"n") + b"\x01" + zigzag(2**40) + b"\x00" * 20),
    ]


def test_each_bad_record_is_set_aside_once_with_its_reason_and_each_good_one_comes_through(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """The worker is dropped in the middle of its work again and again."""
    name, bootstrap = topic_prefix, kafka.bootstrap_servers
    registry = MemoryRegistry()
    frame = b"\x00" + registry.register(f"{name}-in-value", SCHEMA).id.to_bytes(4, "big")
    kinds = list(malformed(frame))
    assert len({kind for kind, _, _ in kinds}) == len(kinds) >= 30
    rows: list[Row] = []
    for _ in range(10):
        for at, (_, key, value) in enumerate(kinds):
            if at % 9 == 0:
                rows.append(Row(b"k", good(frame, len(rows))))
            rows.append(Row(key, value))
    create(bootstrap, f"{name}-in")
    publish(bootstrap, f"{name}-in", rows)

    made = Pipeline(name, on_error="dead_letter")
    made.stream(Topic(f"{name}-in", key=str, value=Order)).map(lambda order: str(order.id), name="id").to(
        Topic(f"{name}-out", key=str, value=str)
    )
    around = WorkerSurroundings(
        connection=Connection(bootstrap),
        registry=registry,
        state_directory=tmp_path,
        transaction_timeout_ms=20_000,
        transaction_budget_ms=15_000,
        consumer_options={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500},
        # So few a step that the first lives cannot come to the end, however fast.
        limits=WorkerLimits(commit_interval_s=0.01, max_batch_records=5),
    )
    lives = 0
    for most in (8, 12, 16, 5_000):
        lives += 1
        with opened(made.topology(), around, WorkerHooks()) as worker:
            steps = 0
            while steps < most and not has_committed(worker, {(f"{name}-in", 0): len(rows)}):
                worker.step()
                steps += 1 if worker.tasks else 0
            if steps < most:
                break
    assert lives == 4, "it was dropped three times before it came to the end"
    is_good = {offset for offset, row in enumerate(rows) if row.value is not None and row.value == good(frame, offset)}
    found = [int(record.value or b"") for record in read(bootstrap, f"{name}-out")[0]]
    assert found == sorted(is_good)
    letters = read(bootstrap, f"dlq.{name}.{name}-in")[0]
    headers = [dict(letter.headers) for letter in letters]
    places = [int(each["__dlq.errors.offset"] or b"") for each in headers]
    assert places == [offset for offset in range(len(rows)) if offset not in is_good]
    for letter, place in zip(letters, places, strict=True):
        assert (letter.key, letter.value) == (rows[place].key, rows[place].value)
    assert {each["penstock.dlq.stage"] for each in headers} == {b"decode"}
    reasons = Counter((each["penstock.dlq.reason"] or b"").decode() for each in headers)
    assert all(reason not in ("", "error") for reason in reasons), reasons
    assert len(reasons) > 5, reasons
