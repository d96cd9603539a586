"""The input that the worker's tests share, and what is to come of it."""

from __future__ import annotations

import threading
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from tests.broker.harness.bare_reader import read

ROWS = 2_000
PARTITIONS = 3
KEYS = 7
CHUNK = 250
SKIPPED = b"skip"


@dataclass(frozen=True, slots=True)
class Numbers:
    """A topic of numbers under a few keys; every 97th is none.

    Attributes:
        topic: its name.
        rows: how many.
        keys: likewise.
        last: per partition, the offset behind the last number.
        bad: (partition, offset) of what is no number.
        beside: another topic that is read together with it and holds nothing that counts; None = there is none.
    """

    topic: str
    rows: int
    keys: int
    last: tuple[int, ...]
    bad: frozenset[tuple[int, int]]
    beside: str | None = None

    @property
    def topics(self) -> list[str]:
        """All that is read."""
        return [self.topic] if self.beside is None else [self.topic, self.beside]


def value_of(n: int) -> bytes:
    return f"bad{n}".encode() if is_bad(n) else str(n).encode()


def is_bad(n: int) -> bool:
    return n % 97 == 0


def key_of(n: int, keys: int) -> bytes:
    return f"key-{n % keys}".encode()


class NumbersPublisher:
    """Publishes in transactions, every other one aborted first: its records must never be summed.

    So the input has markers and gaps between offsets, and ends with a marker.
    """

    def __init__(
        self, bootstrap_servers: str, *, partitions: int = PARTITIONS, keys: int = KEYS, has_beside: bool = False
    ) -> None:
        self.topic = f"numbers-{uuid.uuid4().hex[:8]}"
        self.beside = f"{self.topic}-beside" if has_beside else None
        self._bootstrap_servers, self._keys = bootstrap_servers, keys
        self._rows = self._chunks = 0
        topics = [self.topic] if self.beside is None else [self.topic, self.beside]
        Admin(Connection(bootstrap_servers)).create([TopicSettings(name, partitions) for name in topics])
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random", "transactional.id": self.topic}
        )
        self._producer.init_transactions(30)

    def publish(self, rows: int) -> None:
        """The next numbers."""
        attempts = (False, True) if self._chunks % 2 else (True,)
        for commits in attempts:
            self._producer.begin_transaction()
            for n in range(self._rows, self._rows + rows):
                self._producer.produce(self.topic, value_of(n), key_of(n, self._keys))
                if self.beside is not None:
                    self._producer.produce(self.beside, SKIPPED, key_of(n, self._keys))
            self._producer.flush(30)
            self._producer.commit_transaction(30) if commits else self._producer.abort_transaction(30)
        self._rows += rows
        self._chunks += 1

    def finish(self) -> Numbers:
        """What was published in all."""
        found = read(self._bootstrap_servers, self.topic)
        return Numbers(
            self.topic,
            self._rows,
            self._keys,
            tuple(records[-1].offset + 1 if records else 0 for _, records in sorted(found.items())),
            frozenset(
                (p, r.offset) for p, records in found.items() for r in records if (r.value or b"").startswith(b"bad")
            ),
            self.beside,
        )


def publish(bootstrap_servers: str) -> Numbers:
    """All of them at once."""
    publisher = NumbersPublisher(bootstrap_servers)
    for _ in range(ROWS // CHUNK):
        publisher.publish(CHUNK)
    return publisher.finish()


class Trickle:
    """Numbers that keep coming, a few every `pause_s`, while the block lasts; `numbers` is there behind it."""

    numbers: Numbers

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        partitions: int,
        keys: int,
        rows: int = 20,
        pause_s: float = 0.04,
        has_beside: bool = False,
    ) -> None:
        self._publisher = NumbersPublisher(bootstrap_servers, partitions=partitions, keys=keys, has_beside=has_beside)
        self._rows, self._pause_s = rows, pause_s
        self._is_over = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="trickle")

    @property
    def topic(self) -> str:
        return self._publisher.topic

    @property
    def beside(self) -> str | None:
        return self._publisher.beside

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        self.numbers = self._publisher.finish()

    def _run(self) -> None:
        try:
            while not self._is_over.wait(self._pause_s):
                self._publisher.publish(self._rows)
        except BaseException as exc:  # noqa: BLE001 - raised at the end of the block
            self._failed = exc


def expected_sums(numbers: Numbers) -> dict[bytes, list[int]]:
    """{key: its sums, one per number}."""
    found: dict[bytes, list[int]] = defaultdict(list)
    totals: Counter[bytes] = Counter()
    for n in range(numbers.rows):
        if not is_bad(n):
            key = key_of(n, numbers.keys)
            totals[key] += n
            found[key].append(totals[key])
    return dict(found)
