"""What the topics hold, read by a bare consumer and decoded by a decoder of our own: none of penstock's code."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from demo.avro_decoder import Decode, decode, decoder_of
from demo.watch import QUIET

Values = tuple[Any, ...]

_PATIENCE_S = 30.0
_TELL_EVERY = 1_000
_REDRIVEN = "penstock.dlq.redrive.id"


# Named tuples, because there is one for each of a third of a million records.
class ObservedRecord(NamedTuple):
    """A committed record; `values` follow the fields asked for, and are None where the bytes are no such record."""

    partition: int
    offset: int
    key: str | None
    values: Values | None


class ObservedDeadLetter(NamedTuple):
    """A committed dead letter.

    Attributes:
        partition: of the dead-letter topic.
        offset: likewise.
        reason: why.
        place: the row's at its source, a pipeline's record's offset.
        source_partition: where a pipeline read the record; None for a producer's row.
        raw: the row's text, or the record's values, by name; empty where the bytes are neither.
    """

    partition: int
    offset: int
    reason: str
    place: str
    source_partition: int | None
    raw: dict[str, Any]

    @property
    def source(self) -> str:
        """Where it came from."""
        return f"row {self.place}" if self.source_partition is None else f"[{self.source_partition}]@{self.place}"


@dataclass(slots=True)
class Observed:
    """What one data set has become, in the order of each partition.

    Attributes:
        records: those that were written when they came up.
        dead_letters: see there.
        redriven: records that a redrive has written, by their headers.
    """

    records: list[ObservedRecord] = field(default_factory=list[ObservedRecord])
    dead_letters: list[ObservedDeadLetter] = field(default_factory=list[ObservedDeadLetter])
    redriven: list[ObservedRecord] = field(default_factory=list[ObservedRecord])


@dataclass(frozen=True, slots=True)
class Source:
    """A topic with what is needed to read it."""

    bootstrap_servers: str
    registry_url: str
    topic: str
    dead_letter_topics: tuple[str, ...]
    fields: tuple[str, ...]


def observe(source: Source, tell: Callable[[int], None] = lambda _: None) -> Observed:
    """Everything that is committed in the topic and in its dead-letter topics.

    Args:
        source: where.
        tell: now and then how many records have been read.
    """
    frames = _Frames(source.registry_url)
    observed = Observed()
    for number, message in enumerate(read(source.bootstrap_servers, source.topic), 1):
        value = frames.decoded(message.value())
        records = observed.redriven if _REDRIVEN in dict(message.headers() or ()) else observed.records
        records.append(
            ObservedRecord(
                message.partition() or 0, message.offset() or 0, _text(message.key()), _values(value, source.fields)
            )
        )
        if number % _TELL_EVERY == 0:
            tell(_TELL_EVERY)
    tell((len(observed.records) + len(observed.redriven)) % _TELL_EVERY)
    for topic in source.dead_letter_topics:
        observed.dead_letters += [_dead_letter(message, frames) for message in read(source.bootstrap_servers, topic)]
    return observed


def read(bootstrap_servers: str, topic: str, isolation: str = "read_committed") -> Iterator[Message]:
    """Every record from the beginning to the present end of each partition.

    Raises:
        TimeoutError: nothing arrived for 30 seconds.
        KafkaException: the topic is not there, or a broker refused.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "demo-verdict",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "auto.offset.reset": "error",
            "check.crcs": True,
            **QUIET,
        }
    )
    try:
        partitions = _partitions(consumer, topic)
        # From the log's beginning, wherever that is: what was cut off there shows as missing.
        consumer.assign([TopicPartition(topic, partition, -2) for partition in partitions])
        unfinished = set(partitions)
        arrived_at = time.monotonic()
        while unfinished:
            # It waits for all of them: a long time-out would be waited out at the end of every topic.
            messages = consumer.consume(5_000, timeout=0.05)
            if messages:
                arrived_at = time.monotonic()
            elif time.monotonic() - arrived_at > _PATIENCE_S:
                raise TimeoutError(f"{topic}: partitions {sorted(unfinished)} did not reach their end")
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the binding's public constants look so
                    unfinished.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    metadata = consumer.list_topics(topic, timeout=30).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return sorted(metadata.partitions)


class _Frames:
    """Decodes frames (a zero byte, four bytes of schema id, Avro) by the registry's schemas."""

    def __init__(self, registry_url: str) -> None:
        self._registry_url = registry_url
        self._decoders: dict[int, Decode] = {}

    def decoded(self, data: bytes | None) -> dict[str, Any] | None:
        """The fields by name; None where the bytes are no such record, which the verdict calls wrong."""
        if data is None or len(data) < 5 or data[0] != 0:
            return None
        decoder = self._decoder(int.from_bytes(data[1:5]))
        try:
            value: Any = decode(decoder, data[5:])
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def _decoder(self, schema_id: int) -> Decode:
        if schema_id not in self._decoders:
            url = f"{self._registry_url}/schemas/ids/{schema_id}"
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own registry's address
                self._decoders[schema_id] = decoder_of(json.loads(json.load(answer)["schema"]))
        return self._decoders[schema_id]


def _values(value: dict[str, Any] | None, fields: tuple[str, ...]) -> Values | None:
    try:
        return None if value is None else tuple([value[name] for name in fields])
    except KeyError:
        return None  # a record of another kind


def _dead_letter(message: Message, frames: _Frames) -> ObservedDeadLetter:
    """A producer's holds the row as JSON, a pipeline's the record as it was read."""
    pairs: Any = message.headers() or []
    headers: dict[str, bytes] = dict(pairs)
    source_partition = headers.get("__dlq.errors.partition")
    value: Any = message.value()
    return ObservedDeadLetter(
        message.partition() or 0,
        message.offset() or 0,
        headers.get("penstock.dlq.reason", b"").decode(),
        headers.get("penstock.dlq.position", b"").decode(),
        None if source_partition is None else int(source_partition),
        _row(value) if source_partition is None else frames.decoded(value) or {},
    )


def _row(value: bytes | None) -> dict[str, Any]:
    try:
        row: Any = json.loads(value or b"{}")
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _text(key: str | bytes | None) -> str | None:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
