"""What must be true of a pipeline's topics and offsets, however often its worker died.

Everything is looked at twice: as a bare client is shown it, in both isolation levels, and as it stands in the broker's
files. Nothing here uses the engine's code; the formats are those of docs/reference/names-and-formats.md.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.record_batch import StoredRecord
from penstock.testing.segments import Fate, PartitionLog, read_topic
from tests.broker.harness.bare_reader import CommittedOffset, group_offsets, read
from tests.broker.harness.group_files import commits_of
from tests.broker.runtime.numbers_topic import Numbers, expected_sums

COMMIT_RECORD = b"\x00"
STORE = b"\x03sum"
VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Topics:
    """What a pipeline over the numbers writes."""

    sums: str
    changelog: str
    dead_letters: str

    @classmethod
    def of(cls, pipeline: str, topic: str) -> Topics:
        return cls(f"{pipeline}-sums", f"{pipeline}.{topic}.changelog", f"dlq.{pipeline}.{topic}")


@dataclass(frozen=True, slots=True)
class Findings:
    """What the files told on the way.

    Attributes:
        aborted: records of aborted transactions, over the three topics.
        transactions: that were committed, as the changelog counts them: tasks' parts.
    """

    aborted: int
    transactions: int


def check(kafka: KafkaUnderTest, pipeline: str, numbers: Numbers) -> Findings:
    """Assert all of it."""
    assert kafka.cluster is not None, "the files of a cluster elsewhere cannot be read"
    files = kafka.cluster.log_directory(1)
    topics = Topics.of(pipeline, numbers.topic)
    sums, changelog, dead = (
        both_ways(kafka, files, topic) for topic in (topics.sums, topics.changelog, topics.dead_letters)
    )
    check_sums(sums, numbers)
    check_dead_letters(dead, numbers)
    history = commits_of(files, pipeline, Fate.COMMITTED)
    for partition in range(len(numbers.last)):
        for topic in numbers.topics:
            (committed,) = group_offsets(kafka.bootstrap_servers, pipeline, topic, [partition])
            last = numbers.last[partition] if topic == numbers.topic else 0
            check_offsets(committed, history[topic, partition], last)
        check_task(changelog[partition], {topic: history[topic, partition] for topic in numbers.topics})
    state = {key: value for log in changelog.values() for key, value in entries(log.visible()).items()}
    assert sums_in(state) == {key: found[-1] for key, found in expected_sums(numbers).items()}
    logs = [log for topic in (sums, changelog, dead) for log in topic.values()]
    return Findings(
        aborted=sum(log.count(Fate.ABORTED) for log in logs),
        transactions=sum(t.fate is Fate.COMMITTED for log in changelog.values() for t in log.transactions),
    )


def sums_in(state: dict[bytes, bytes]) -> dict[bytes, int]:
    """{key: sum}: keys behind the store's name, values behind a version; an aggregate keeps its latest time as well."""
    found: dict[bytes, int] = {}
    for key, value in state.items():
        assert key.startswith(STORE)
        assert value.startswith(VERSION)
        total, _time_ms = msgspec.msgpack.decode(value[1:], type=tuple[int, int])
        found[key.removeprefix(STORE)] = total
    return found


def both_ways(kafka: KafkaUnderTest, files: Path, topic: str) -> dict[int, PartitionLog]:
    """The topic by its files, after a client was shown the same in both isolation levels; nothing may be open."""
    shown = read(kafka.bootstrap_servers, topic, "read_uncommitted")
    committed = read(kafka.bootstrap_servers, topic, "read_committed")
    logs = read_topic(files, topic)
    assert {p: log.records() for p, log in logs.items()} == shown
    assert {p: log.visible() for p, log in logs.items()} == committed
    assert {p: log.records(Fate.COMMITTED) for p, log in logs.items()} == committed
    for log in logs.values():
        assert not log.open_transactions
        hidden = {record.offset for record in log.records(Fate.ABORTED)}
        assert not hidden & {record.offset for record in log.visible()}
    return logs


def check_sums(logs: dict[int, PartitionLog], numbers: Numbers) -> None:
    """Per key the exact sequence of sums, in one partition."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for log in logs.values():
        own: dict[bytes, list[int]] = defaultdict(list)
        for record in log.visible():
            own[record.key or b""].append(int(record.value or b""))
        assert not own.keys() & found.keys(), "one key in two partitions"
        found.update(own)
    assert found == expected_sums(numbers)


def check_dead_letters(logs: dict[int, PartitionLog], numbers: Numbers) -> None:
    """Every bad number once, by the place that its headers name."""
    found: list[tuple[int, int]] = []
    for partition, log in logs.items():
        for record in log.visible():
            headers = dict(record.headers)
            assert headers["__dlq.errors.topic"] == numbers.topic.encode()
            assert headers["__dlq.errors.partition"] == str(partition).encode()
            assert (record.value or b"").startswith(b"bad")
            found.append((partition, int(headers["__dlq.errors.offset"] or b"")))
    assert sorted(found) == sorted(numbers.bad)


def check_offsets(shown: CommittedOffset, history: list[CommittedOffset], last: int) -> None:
    """The group's place is behind the last number, by client and by file; on the way it never went back."""
    assert shown == history[-1]
    assert shown.offset >= last, (shown, last)
    offsets = [commit.offset for commit in history]
    assert offsets == sorted(offsets)
    # The first two may be the claim of nothing and the first numbers; every commit has the next sequence.
    sequences = [int(fields(commit.metadata)["s"]) for commit in history]
    assert sequences == list(range(1, len(sequences) + 1)), [c.metadata for c in history]


def check_task(log: PartitionLog, histories: dict[str, list[CommittedOffset]]) -> None:
    """Each transaction's part ends with a commit record that says what the group's offsets say; its digest is right."""
    state: dict[bytes, bytes] = {}
    parts = [t for t in log.transactions if t.fate is Fate.COMMITTED]
    for number, (part, *commits) in enumerate(zip(parts, *histories.values(), strict=True)):
        records = [record for batch in part.batches for record in batch.records()]
        assert [record.key == COMMIT_RECORD for record in records] == [False] * (len(records) - 1) + [True]
        for key, value in ((record.key or b"", record.value) for record in records[:-1]):
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        said: dict[str, Any] = msgspec.msgpack.decode(records[-1].value or b"")
        assert said["next_offsets"] == {topic: history[number].offset for topic, history in histories.items()}
        for commit in commits:
            told = fields(commit.metadata)
            written = (str(said["sequence"]), said["writer"], str(said["owner_epoch"]))
            assert written == (told["s"], told["w"], told["oe"])
        assert said["digest"] == digest(state)


def entries(records: list[StoredRecord]) -> dict[bytes, bytes]:
    """The state that a changelog adds up to."""
    last = {record.key or b"": record.value for record in records if record.key != COMMIT_RECORD}
    return {key: value for key, value in last.items() if value is not None}


def digest(state: dict[bytes, bytes]) -> bytes:
    """The digest as the reference has it, computed from nothing."""
    total = 0
    for key, value in state.items():
        hashed = hashlib.blake2b(len(key).to_bytes(4, "little") + key + value, digest_size=16).digest()
        total += int.from_bytes(hashed, "little")
    return (total % (1 << 128)).to_bytes(16, "little")


def fields(metadata: str) -> dict[str, str]:
    """`p1;s=7;w=...` as a dictionary, the version left out."""
    parts = (part.partition("=") for part in metadata.split(";")[1:])
    return {name: value for name, _, value in parts}
