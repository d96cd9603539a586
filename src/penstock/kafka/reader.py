"""Reading partitions by explicit assignment: no group is joined, nothing is committed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from penstock.errors import ConfigurationError, KafkaUnavailable, PenstockError, ServerUnreachable
from penstock.kafka.client import Connection, Option, connected
from penstock.kafka.error_map import from_call
from penstock.record import Headers, Record

Isolation = Literal["read_committed", "read_uncommitted"]
RawRecord = Record[bytes | None, bytes | None]

BEGINNING = -2
"""As a start position: the first offset that is still there."""
END = -1
"""As a start position: behind the last record."""

_ASK_AGAIN_S = 0.05
_METADATA_TIMEOUT_S = 10.0


class Columns(NamedTuple):
    """Records of one partition as parallel lists, in offset order."""

    keys: list[bytes | None]
    values: list[bytes | None]
    offsets: list[int]


DEFAULTS: dict[str, Option] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "check.crcs": True,
    "allow.auto.create.topics": False,
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 50,
    # Several read at once, beside tasks that go on: none may take all the memory.
    "queued.max.messages.kbytes": 8_192,
}


class Watermarks(NamedTuple):
    """A partition's first offset, and the offset behind its last: the last stable one under read_committed."""

    begin: int
    end: int


class Reader:
    """A consumer that reads what it is told to.

    Args:
        connection: the cluster.
        isolation: `read_committed` sees only what transactions committed, up to the last stable offset.
        client_id: names this reader in the brokers' logs.
        options: further librdkafka options.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        isolation: Isolation = "read_committed",
        client_id: str = "penstock-reader",
        options: Mapping[str, Option] | None = None,
    ) -> None:
        own: dict[str, Option] = {
            # The client demands a group; nothing ever joins or commits to this one.
            "group.id": f"{client_id}.{uuid.uuid4().hex[:8]}",
            "isolation.level": isolation,
            **DEFAULTS,
            **(options or {}),
        }
        self._consumer = connected(Consumer, connection.options(own, connection.consumer, client_id), client_id)
        self.at_end: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        """Itself; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def assign(self, starts: Mapping[tuple[str, int], int]) -> None:
        """Read these partitions from these offsets, `BEGINNING` or `END`; replaces what was read before."""
        self.at_end.clear()
        self._consumer.assign([TopicPartition(topic, part, offset) for (topic, part), offset in starts.items()])

    def poll(self, timeout_s: float, max_records: int = 1_000) -> list[RawRecord]:
        """The next records, in offset order per partition; empty when none came in time.

        A partition whose end was reached stands in `at_end` until more of it arrives.

        Raises:
            OperatorMustDecide: a position is no longer in the log.
            ConfigurationError: no such topic, no right to it.
        """
        return [_record(message) for message in self._without_events(self._consumer.consume(max_records, timeout_s))]

    def poll_columns(self, timeout_s: float, max_records: int = 5_000) -> Columns:
        """As `poll`, for much of one partition: without an object per record, and at once where there are some."""
        first = self._consumer.poll(timeout_s)
        messages = [] if first is None else [first, *self._consumer.consume(max_records - 1, 0)]
        records = self._without_events(messages)
        return Columns(
            [message.key() for message in records],
            [message.value() for message in records],
            [message.offset() or 0 for message in records],
        )

    def _without_events(self, messages: list[Message]) -> list[Message]:
        """The records among these; ends are noted, errors raised."""
        records: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
                if not self.at_end:
                    continue
            topic, partition = message.topic() or "", message.partition() or 0
            if error is None:
                self.at_end.discard((topic, partition))
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end.add((topic, partition))
            elif not _passes_by_itself(error):
                raise from_call(KafkaException(error), f"reading {topic}[{partition}]")
        return records

    def position(self, topic: str, partition: int) -> int | None:
        """The next offset to be read, control records stepped over; None before the first poll."""
        offset = self._consumer.position([TopicPartition(topic, partition)])[0].offset
        return offset if offset >= 0 else None

    def watermarks(self, topic: str, partition: int, timeout_s: float = 10.0) -> Watermarks:
        """Asked of the broker now; `end` follows the isolation level (KIP-98).

        Raises:
            KafkaUnavailable: no answer; ask again.
            ConfigurationError: there is no such topic or partition.
        """
        try:
            marks: Any = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
        except KafkaException as exc:
            doing = f"watermarks of {topic}[{partition}]"
            if is_there(self._consumer, topic, partition):
                raise KafkaUnavailable(f"{doing}: no leader is known") from exc
            raise from_call(exc, doing) from exc
        if marks is None:
            raise KafkaUnavailable(f"watermarks of {topic}[{partition}]: no answer within {timeout_s:.0f} s")
        return Watermarks(*marks)

    def offsets_at(
        self, partitions: Sequence[tuple[str, int]], timestamp_ms: int, timeout_s: float = 10.0
    ) -> dict[tuple[str, int], int]:
        """{partition: first offset whose timestamp is not older, `END` where there is none}.

        Asked again while leaders move, as that of a topic made a moment ago does.

        Raises:
            KafkaUnavailable: no answer in time; ask again.
            ConfigurationError: there is no such topic or partition.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self._offsets_at(partitions, timestamp_ms, max(0.1, deadline - time.monotonic()))
            except KafkaUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_ASK_AGAIN_S)

    def _offsets_at(
        self, partitions: Sequence[tuple[str, int]], timestamp_ms: int, timeout_s: float
    ) -> dict[tuple[str, int], int]:
        asked = [TopicPartition(topic, partition, timestamp_ms) for topic, partition in partitions]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=timeout_s)
        except KafkaException as exc:
            named = ", ".join(f"{topic}[{partition}]" for topic, partition in partitions)
            raise from_call(exc, f"offsets at a time of {named}") from exc
        for part in found:
            # With several partitions, what is wrong with one stands in its place.
            if part.error is not None:
                raise from_call(KafkaException(part.error), f"offsets at a time of {part.topic}[{part.partition}]")
        return {(tp.topic, tp.partition): tp.offset if tp.offset >= 0 else END for tp in found}


def is_there(consumer: Consumer, topic: str, partition: int) -> bool:
    """Whether the brokers know the partition: one that has no leader the client calls unknown too.

    Raises:
        KafkaUnavailable: none of them answers.
    """
    try:
        found = consumer.list_topics(topic, timeout=_METADATA_TIMEOUT_S).topics.get(topic)
    except KafkaException as exc:
        raise from_call(exc, f"whether there is {topic}[{partition}]") from exc
    return found is not None and found.error is None and partition in found.partitions


def read_to_end(
    connection: Connection,
    topic: str,
    partition: int,
    *,
    client_id: str,
    stall_timeout_s: float = 90.0,
    end: Isolation = "read_uncommitted",
) -> Iterator[RawRecord]:
    """Every committed record of a partition up to its end of now, oldest first.

    Args:
        connection: the cluster.
        topic: what is read.
        partition: likewise.
        client_id: for the brokers' logs.
        stall_timeout_s: how long the position may stand still.
        end: where that is. As a read_uncommitted client sees it, it is the high watermark: stopping at the last stable
            offset would miss what stands behind somebody's open transaction, so that transaction is waited out. As a
            read_committed one sees it, it is that offset: what is decided by now, without waiting.

    Raises:
        ServerUnreachable: the position stood still for `stall_timeout_s`: a transaction is open there, or no leader.
    """
    with Reader(connection, isolation=end, client_id=client_id) as asker:
        first, last = _retried(lambda: asker.watermarks(topic, partition))
    if first >= last:
        return
    with Reader(connection, client_id=client_id) as reader:
        reader.assign({(topic, partition): first})
        position, moved_at = first, time.monotonic()
        while position < last:
            for record in reader.poll(0.1):
                if record.offset is not None and record.offset < last:
                    yield record
            now = reader.position(topic, partition)
            if now is not None and now > position:
                position, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > stall_timeout_s:
                raise ServerUnreachable(
                    f"{topic}[{partition}]: stuck at offset {position} of {last} for {stall_timeout_s:.0f} s; "
                    "a transaction of another producer is open there, or the partition has no leader"
                )


def _retried(call: Callable[[], Watermarks], timeout_s: float = 60.0, unknown_timeout_s: float = 5.0) -> Watermarks:
    began_at_s = time.monotonic()
    while True:
        try:
            return call()
        except KafkaUnavailable as exc:
            if time.monotonic() > began_at_s + timeout_s:
                raise ServerUnreachable(f"{exc}; gave up after {timeout_s:.0f} s") from exc
        except ConfigurationError:
            # A topic that was made a moment ago, or a broker that is just back: not every broker has heard of it.
            if time.monotonic() > began_at_s + unknown_timeout_s:
                raise
        time.sleep(0.25)


def _passes_by_itself(error: KafkaError) -> bool:
    """Connections that come and go: the client goes on by itself."""
    family: PenstockError = from_call(KafkaException(error), "poll")
    return isinstance(family, KafkaUnavailable)


def _record(message: Message) -> RawRecord:
    _, timestamp_ms = message.timestamp()
    return Record(
        key=message.key(),
        value=message.value(),
        headers=headers_of(message),
        timestamp_ms=timestamp_ms,
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
    )


def headers_of(message: Message) -> Headers:
    """The message's headers in our form; empty where it has none."""
    headers = cast("Iterable[tuple[str, str | bytes | None]]", message.headers() or ())  # the stub says dict too
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in headers)
