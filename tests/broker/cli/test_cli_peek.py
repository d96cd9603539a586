"""`penstock peek` on a topic that holds a bit of everything."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from penstock.embedded.registry import RegistryServer
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.registry import RegistryClient
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]

SCHEMA = """{"type": "record", "name": "Level", "namespace": "rivers", "fields": [
  {"name": "river", "type": "string"},
  {"name": "measured_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "cm", "type": ["null", "int"]}]}"""
MEASURED_MS = 1_769_839_200_000
STAMPED_MS = 1_769_900_000_000


@dataclass(frozen=True)
class Mixed:
    """A topic: partition 0 holds nine committed records, three aborted ones and a last one; partition 1 holds one.

    The last one is a minute younger. Markers of transactions take offsets too.
    """

    name: str
    schema_id: int


def zigzag(number: int) -> bytes:
    """Avro's long, written down here once more so that the check shares no code with what it checks."""
    value, out = (number << 1) ^ (number >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@pytest.fixture(scope="module")
def mixed(kafka: KafkaUnderTest, registry: RegistryServer) -> Mixed:
    name = f"peek-{datetime.now(UTC):%H%M%S%f}"
    settings = {"message.timestamp.before.max.ms": str(2**63 - 1), "retention.ms": "-1"}
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(name, partitions=2, config=settings)])
    with closing(RegistryClient(registry.url)) as client:
        schema_id = client.register(f"{name}-value", SCHEMA).id
    frame = b"\x00" + schema_id.to_bytes(4, "big")
    good = frame + zigzag(4) + b"isar" + zigzag(MEASURED_MS) + zigzag(1) + zigzag(118)
    values = [
        (b"isar", good),
        (b"isar", good[:-3]),
        (b"isar", b"\x00\x7f\xff\xff\xff" + good[5:]),
        (b"k", b'{"cm": 118}'),
        (b"k", "Würm".encode()),
        (b"\xff\x00", b"\xfe\xff"),
        (None, None),
        (b"k", b""),
        (b"k", b"\x1b[31mred"),
    ]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": name})
    producer.init_transactions(20)
    producer.begin_transaction()
    for key, value in values:
        producer.produce(name, value, key, partition=0, timestamp=STAMPED_MS, headers={"source": b"gauge"})
    producer.produce(name, b"other", b"k", partition=1, timestamp=STAMPED_MS)
    producer.commit_transaction(20)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(name, b"never happened", b"k", partition=0, timestamp=STAMPED_MS)
    producer.flush(20)
    producer.abort_transaction(20)
    producer.begin_transaction()
    producer.produce(name, b"last", b"k", partition=0, timestamp=STAMPED_MS + 60_000)
    producer.commit_transaction(20)
    return Mixed(name, schema_id)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_topic_of_everything_is_read_to_its_end(penstock: Penstock, mixed: Mixed) -> None:
    """What cannot be decoded is told as such and the next record follows; aborted records are not there."""
    records = lines(penstock("peek", mixed.name, "--json", "--limit", "100", "--partition", "0"))
    shown = [(each["key"], each["value_form"], each["value"]) for each in records]
    decoded = {"river": "isar", "measured_at": "2026-01-31T06:00:00Z", "cm": 118}
    assert [shown[0], *shown[3:]] == [
        ("isar", "avro", decoded),
        ("k", "json", {"cm": 118}),
        ("k", "text", "Würm"),
        ("ff00", "hex", "feff"),
        (None, "null", None),
        ("k", "text", ""),
        ("k", "text", "\x1b[31mred"),
        ("k", "text", "last"),
    ]
    truncated, unknown = records[1], records[2]
    assert truncated["value_form"] == unknown["value_form"] == "hex"
    assert f"(schema id {mixed.schema_id})" in truncated["problems"][0]
    assert "the registry has no schema with this id" in unknown["problems"][0]
    assert [each["offset"] for each in records] == [*range(9), 14]
    assert records[0]["timestamp_ms"] == STAMPED_MS
    assert records[0]["headers"] == [{"name": "source", "value": "gauge", "form": "text"}]


def test_people_see_one_record_after_another(penstock: Penstock, mixed: Mixed) -> None:
    shown = penstock("peek", mixed.name, "--partition", "0", "--limit", "9").stdout.splitlines()
    assert shown[0] == f"{mixed.name}[0]@0  2026-01-31T22:53:20.000Z  key isar"
    assert shown[1] == "  source: gauge"
    assert shown[2] == '  {"river":"isar","measured_at":"2026-01-31T06:00:00Z","cm":118}'
    assert shown[-1] == r"  \x1b[31mred"


def test_uncommitted_shows_what_was_aborted_too(penstock: Penstock, mixed: Mixed) -> None:
    records = lines(penstock("peek", mixed.name, "--json", "--limit", "100", "--partition", "0", "--uncommitted"))
    assert [each["offset"] for each in records if each["value"] == "never happened"] == [10, 11, 12]


def test_ten_records_are_shown_unless_asked_otherwise(penstock: Penstock, mixed: Mixed) -> None:
    assert len(lines(penstock("peek", mixed.name, "--json"))) == 10
    assert len(lines(penstock("peek", mixed.name, "--json", "--limit", "2"))) == 2


@pytest.mark.parametrize(
    ("start", "offsets"),
    [
        ("8", [8, 14]),
        ("9", [14]),
        ("1000000", []),
        ("end", []),
        ("2026-01-31T22:54", [14]),
        ("2030-01-01", []),
        ("2000-01-01", [*range(9), 14]),
    ],
)
def test_reading_begins_where_it_is_told(penstock: Penstock, mixed: Mixed, start: str, offsets: list[int]) -> None:
    records = lines(penstock("peek", mixed.name, "--from", start, "--json", "--limit", "100", "--partition", "0"))
    assert [each["offset"] for each in records] == offsets


def test_a_topic_larger_than_one_poll_is_read_to_its_end(
    penstock: Penstock, kafka: KafkaUnderTest, topic_prefix: str
) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, partitions=1)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(2_500):
        producer.produce(topic_prefix, str(number), partition=0)
    producer.flush(20)
    records = lines(penstock("peek", topic_prefix, "--json", "--limit", "100000"))
    assert [each["value"] for each in records] == [str(number) for number in range(2_500)]


def test_without_a_registry_the_bytes_are_shown_with_the_reason(penstock: Penstock, mixed: Mixed) -> None:
    done = penstock("peek", mixed.name, "--json", "--limit", "4", PENSTOCK_REGISTRY__URL="http://127.0.0.1:1")
    problems = [problem for each in lines(done) for problem in each["problems"]]
    assert problems
    assert all("127.0.0.1:1" in problem for problem in problems)


def test_a_topic_that_is_not_there_is_a_usage_error_with_the_nearest(penstock: Penstock, mixed: Mixed) -> None:
    done = penstock("peek", mixed.name + "x")
    assert done.returncode == 2
    assert f"did you mean '{mixed.name}'?" in done.stderr


def test_a_partition_that_is_not_there_is_a_usage_error(penstock: Penstock, mixed: Mixed) -> None:
    done = penstock("peek", mixed.name, "--partition", "2")
    assert done.returncode == 2
    assert "partitions 0 to 1, not 2" in done.stderr


def test_following_shows_what_comes_in_and_ends_with_ctrl_c(kafka: KafkaUnderTest, topic_prefix: str) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(topic_prefix, partitions=2)])
    command = [sys.executable, "-c", "from penstock.cli.app import main; main()"]
    environment = {**os.environ, "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "PYTHONUNBUFFERED": "1"}
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic_prefix, b"one", partition=0)
    producer.flush(20)
    # A shell starts what is in its background with SIGINT ignored, and children inherit that.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*command, "peek", topic_prefix, "--follow", "--json"], env=environment, stdout=subprocess.PIPE, text=True
    ) as peek:
        signal.signal(signal.SIGINT, deaf)
        assert peek.stdout is not None
        assert json.loads(peek.stdout.readline())["value"] == "one"
        producer.produce(topic_prefix, b"two", partition=1)
        producer.flush(20)
        assert json.loads(peek.stdout.readline())["value"] == "two"
        peek.send_signal(signal.SIGINT)
        assert peek.wait(20) == 130
