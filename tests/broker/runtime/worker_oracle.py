"""What must be true of a pipeline's topics and offsets, however often its worker died.

What a bare client is shown, in both isolation levels, is compared with what stands in the broker's files; the files are
judged by the history checker, beside a model of the pipeline. Nothing here uses the engine's code.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from penstock.testing.history import History, Model, Place, assert_exactly_once
from penstock.testing.history.log import parts
from penstock.testing.history.notes import note_of
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.segments import Fate, PartitionLog, read_topic
from tests.broker.harness.bare_reader import CommittedOffset, group_offsets, read
from tests.broker.runtime.numbers_model import summing
from tests.broker.runtime.numbers_topic import Numbers, expected_sums


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
    history = judged(kafka, files, summing(pipeline, numbers))
    for partition, last in enumerate(numbers.last):
        assert commits_of(history, Place(numbers.topic, partition))[-1].offset >= last
    logs = [log for topic in (sums, changelog, dead) for log in topic.values()]
    return Findings(
        aborted=sum(log.count(Fate.ABORTED) for log in logs),
        transactions=sum(t.fate is Fate.COMMITTED for log in changelog.values() for t in log.transactions),
    )


def judged(kafka: KafkaUnderTest, files: Path, model: Model) -> History:
    """The history in the files, which is exactly-once, all that was there is dealt with, and a client is shown it."""
    sources = [topic for stage in model.stages for topic in stage.sources]
    widths = {topic: len(read_topic(files, topic)) for topic in sources}
    # Asked first: the answer waits until the group's last transaction is decided.
    shown = {
        Place(topic, partition): offset
        for topic, width in widths.items()
        for partition, offset in enumerate(group_offsets(kafka.bootstrap_servers, model.group, topic, range(width)))
    }
    history = History.read(files, group=model.group, topics=model.topics)
    assert history.offsets.is_whole
    assert_exactly_once(history, model, drained=True, payloads=True)
    assert shown == {place: commits_of(history, place)[-1] for place in shown}
    # The rules about sequences and commit records say nothing of commits that are nobody's.
    assert all(note_of(commit.metadata) for place in shown for commit in commits_of(history, place))
    return history


def commits_of(history: History, source: Place) -> list[CommittedOffset]:
    """What was committed of one partition, in the order of the log."""
    entries = [entry for part in parts(history.offsets) if part.fate is Fate.COMMITTED for entry in part.entries]
    return [
        CommittedOffset(entry.next_offset, entry.metadata)
        for entry in sorted(entries, key=lambda entry: entry.offset)
        if entry.source == source
    ]


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
