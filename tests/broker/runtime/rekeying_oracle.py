"""What must be true of both sides of a repartition topic, however often the worker died.

As `worker_oracle`, whose judgement is used; counts and time marks are looked at here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.testing.history import Place
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.segments import Fate, PartitionLog
from tests.broker.runtime.numbers_model import rekeyed
from tests.broker.runtime.numbers_topic import PARTITIONS, ROWS, Numbers, is_bad
from tests.broker.runtime.worker_oracle import both_ways, commits_of, judged

CONTROL = "penstock.control"


@dataclass(frozen=True, slots=True)
class Findings:
    """What the files told on the way.

    Attributes:
        aborted_between: records of aborted transactions in the repartition topic, time marks among them.
        marks: committed time marks.
    """

    aborted_between: int
    marks: int


def check(kafka: KafkaUnderTest, pipeline: str, numbers: Numbers, between: str) -> Findings:
    """Assert all of it."""
    assert kafka.cluster is not None, "the files of a cluster elsewhere cannot be read"
    files = kafka.cluster.log_directory(1)
    logs = {
        topic: both_ways(kafka, files, topic)
        for topic in (f"{pipeline}-sums", between, f"{pipeline}.by-digit.changelog", f"dlq.{pipeline}.{numbers.topic}")
    }
    sums, moved, changelog, _dead = logs.values()
    check_counts(sums)
    history = judged(kafka, files, rekeyed(pipeline, numbers, between))
    for partition, last in enumerate(numbers.last):
        assert commits_of(history, Place(numbers.topic, partition))[-1].offset >= last
    for partition, log in moved.items():
        assert commits_of(history, Place(between, partition))[-1].offset >= log.visible()[-1].offset + 1
        check_clocks(changelog[partition], log, between)
    return Findings(
        aborted_between=sum(log.count(Fate.ABORTED) for log in moved.values()),
        marks=sum(CONTROL in dict(record.headers) for log in moved.values() for record in log.visible()),
    )


def expected() -> dict[bytes, tuple[int, int]]:
    """{digit: how many, their sum}."""
    good = [n for n in range(ROWS) if not is_bad(n)]
    return {
        b"%d" % digit: (len(own), sum(own)) for digit in range(10) for own in [[n for n in good if n % 10 == digit]]
    }


def check_counts(logs: dict[int, PartitionLog]) -> None:
    """Per digit every count from one on, in order, once; in the end the sum; and nothing was late."""
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for log in logs.values():
        for record in log.visible():
            count, total = map(int, (record.value or b"").split())
            found[record.key or b""].append((count, total))
    for rows in found.values():
        assert [count for count, _ in rows] == list(range(1, len(rows) + 1))
    assert {digit: rows[-1] for digit, rows in found.items()} == expected()


def check_clocks(changelog: PartitionLog, moved: PartitionLog, between: str) -> None:
    """The last commit record knows of every upstream task what its last committed mark said; time is the earliest."""
    told: dict[int, int] = {}
    for record in moved.visible():
        if CONTROL in dict(record.headers):
            mark: dict[str, Any] = msgspec.msgpack.decode(record.value or b"")
            assert mark["tasks"] == PARTITIONS
            assert told.get(mark["task"], 0) <= mark["stream_time_ms"]
            told[mark["task"]] = mark["stream_time_ms"]
    said: dict[str, Any] = msgspec.msgpack.decode(changelog.visible()[-1].value or b"")
    assert said["clocks_ms"] == {between: [told[task] for task in range(PARTITIONS)]}
    assert said["stream_time_ms"] == min(told.values())
