"""The input that all crash cases of the worker share, and what is to come of it."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass

from confluent_kafka import Producer

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from tests.broker.harness.bare_reader import read

ROWS = 2_000
PARTITIONS = 3
KEYS = 7
CHUNK = 250


@dataclass(frozen=True, slots=True)
class Numbers:
    """A topic of numbers under a few keys; every 97th is none.

    Attributes:
        topic: its name.
        last: per partition, the offset behind the last number.
        bad: (partition, offset) of what is no number.
    """

    topic: str
    last: tuple[int, ...]
    bad: frozenset[tuple[int, int]]


def value_of(n: int) -> bytes:
    return f"bad{n}".encode() if is_bad(n) else str(n).encode()


def is_bad(n: int) -> bool:
    return n % 97 == 0


def key_of(n: int) -> bytes:
    return f"key-{n % KEYS}".encode()


def publish(bootstrap_servers: str) -> Numbers:
    """Publish them in transactions, every other one aborted first: its records must never be summed.

    So the input has markers and gaps between offsets, and ends with a marker.
    """
    topic = f"numbers-{uuid.uuid4().hex[:8]}"
    Admin(Connection(bootstrap_servers)).create([TopicSettings(topic, PARTITIONS)])
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random", "transactional.id": topic}
    )
    producer.init_transactions(30)
    for start in range(0, ROWS, CHUNK):
        attempts = (False, True) if start // CHUNK % 2 else (True,)
        for commits in attempts:
            producer.begin_transaction()
            for n in range(start, min(start + CHUNK, ROWS)):
                producer.produce(topic, value_of(n), key_of(n))
            producer.flush(30)
            producer.commit_transaction(30) if commits else producer.abort_transaction(30)
    found = read(bootstrap_servers, topic)
    return Numbers(
        topic,
        tuple(records[-1].offset + 1 for _, records in sorted(found.items())),
        frozenset(
            (p, r.offset) for p, records in found.items() for r in records if (r.value or b"").startswith(b"bad")
        ),
    )


def expected_sums() -> dict[bytes, list[int]]:
    """{key: its sums, one per number}."""
    found: dict[bytes, list[int]] = defaultdict(list)
    totals: Counter[bytes] = Counter()
    for n in range(ROWS):
        if not is_bad(n):
            totals[key_of(n)] += n
            found[key_of(n)].append(totals[key_of(n)])
    return dict(found)
