"""Where scenarios are played, and what they are made of: the simulated cluster and a real broker have it alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.errors import KafkaUnavailable, PenstockError
from penstock.kafka.admin import TopicSettings
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.reader import BEGINNING
from penstock.protocols import TransactionalProducer
from penstock.runtime.clients import Clients, CommittingMember, LogReader

Partition = tuple[str, int]


class Stage(Protocol):
    """A cluster, and names that nobody else uses on it."""

    @property
    def name(self) -> str:
        """To begin every name with."""
        ...

    def clients(self) -> Clients:
        """Of a process of its own."""
        ...

    def pause(self, seconds: float) -> None:
        """Let a little time pass."""
        ...


@dataclass(slots=True)
class Partitions:
    """A listener that keeps what it has been given."""

    held: list[Partition]

    def on_assigned(self, partitions: list[Partition]) -> None:
        self.held += partitions

    def on_revoked(self, partitions: list[Partition]) -> None:
        self.held = [place for place in self.held if place not in partitions]

    def on_lost(self, partitions: list[Partition]) -> None:
        self.on_revoked(partitions)


def error_of(call: Callable[[], object]) -> str:
    """Family and Kafka's name of what a call raises; empty if it raises nothing."""
    try:
        call()
    except PenstockError as exc:
        codes = [word.strip(":;,") for word in str(exc).split() if word.strip(":;,_").isupper() and len(word) > 5]
        return " ".join([type(exc).__name__, *codes[:1]])
    return ""


def topic_of(stage: Stage, *, partitions: int = 1, config: Mapping[str, str] | None = None, name: str = "t") -> str:
    topic = f"{stage.name}-{name}"
    stage.clients().admin().create([TopicSettings(topic, partitions, config=config or {})])
    return topic


def producer_of(stage: Stage, name: str = "p", timeout_ms: int = 60_000) -> TransactionalProducer:
    """An initialised one."""
    made = stage.clients().producer(f"{stage.name}-{name}", timeout_ms, max_batch_bytes=1_000_000)
    until(stage, lambda: error_of(lambda: made.init_transactions(5.0)) == "")
    return made


def until(stage: Stage, is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait."""
    for _ in range(round(timeout_s / 0.05)):
        if is_so():
            return
        stage.pause(0.05)
    raise AssertionError("it does not come to that")


def asked(stage: Stage, ask: Callable[[], Any]) -> Any:
    """An answer of `GroupQuestions`, waited for."""
    answer = ask()
    for _ in range(400):
        try:
            found = answer.get()
        except KafkaUnavailable as exc:
            if type(exc).__name__ == "UnstableOffsets":
                return "unstable"
            found, answer = None, ask()
        if found is not None:
            return found
        stage.pause(0.05)
    raise AssertionError("no answer")


def write(producer: TransactionalProducer, topic: str, *values: str, partition: int = 0) -> None:
    """In a transaction that is left open."""
    producer.begin_transaction()
    encoded: list[bytes | None] = [value.encode() for value in values]
    producer.produce(topic, [b"k"] * len(values), encoded, partitions=[partition] * len(values))
    producer.flush(30.0)


def settled(stage: Stage, topic: str) -> tuple[int, int, int]:
    """(first offset, last stable offset, high watermark), the first two without an open transaction."""
    place = (topic, 0)
    questions = stage.clients().group(stage.name, "asks")
    found: list[Any] = []

    def is_closed() -> bool:
        found[:] = [asked(stage, lambda: questions.extent(place))]
        return bool(found[0].last_stable == found[0].high_watermark)

    until(stage, is_closed)
    questions.close()
    return tuple(found[0])


def read(reader: LogReader, topic: str, start: int = BEGINNING) -> list[tuple[int, str]]:
    """(offset, value) of everything that it is shown, and where it stands behind it."""
    reader.assign({(topic, 0): start})
    found: list[tuple[int, str]] = []
    for _ in range(400):
        found += [(r.offset or 0, (r.value or b"").decode()) for r in reader.poll(0.1)]
        if (topic, 0) in reader.at_end:
            break
    found.append((reader.position(topic, 0) or 0, "end"))
    reader.close()
    return found


def joined(
    stage: Stage, *topics: str, eager: bool = False, beside: CommittingMember | None = None
) -> tuple[CommittingMember, Partitions]:
    """A member that has been given something; another one is polled meanwhile, so that it can give some away."""
    listener = Partitions([])
    settings = GroupSettings(session_timeout_ms=6_000, is_copartitioned=eager)
    member = stage.clients().member(f"{stage.name}-g", "m", listener, settings)
    member.subscribe(topics)

    def has_partitions() -> bool:
        member.poll(10, 0.1)
        if beside is not None:
            beside.poll(10, 0.1)
        return bool(listener.held) and member.group_metadata().is_live

    until(stage, has_partitions)
    for _ in range(20):  # whoever gives some away joins once more
        has_partitions()
    return member, listener


def told(offsets: Any) -> Any:
    """Without the topic's name."""
    return [(found.next_offset, found.metadata) for found in offsets.values()]
