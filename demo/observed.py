"""What the topics hold, read by a bare consumer and decoded by a decoder of our own: none of penstock's code."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from demo.avro_decoder import Decode, decode, decoder_of

Values = tuple[Any, ...]

_PATIENCE_S = 30.0


# Named tuples, because there is one for each of a third of a million records.
class ObservedRecord(NamedTuple):
    """A committed record; `values` follow the fields asked for, and are None where the bytes are no such record."""

    partition: int
    offset: int
    key: str | None
    values: Values | None


class ObservedDeadLetter(NamedTuple):
    """A committed dead letter: why, the row's place at its source, and the row."""

    partition: int
    offset: int
    reason: str
    place: str
    raw: dict[str, str]


@dataclass(slots=True)
class Observed:
    """What one data set has become; records in the order of each partition."""

    records: list[ObservedRecord] = field(default_factory=list[ObservedRecord])
    dead_letters: list[ObservedDeadLetter] = field(default_factory=list[ObservedDeadLetter])


@dataclass(frozen=True, slots=True)
class Source:
    """A topic with what is needed to read it."""

    bootstrap_servers: str
    registry_url: str
    topic: str
    dead_letter_topics: tuple[str, ...]
    fields: tuple[str, ...]


def observe(source: Source) -> Observed:
    """Everything that is committed in the topic and in its dead-letter topics."""
    decode_frame = _FrameDecoder(source)
    records = [
        ObservedRecord(
            message.partition() or 0, message.offset() or 0, _text(message.key()), decode_frame(message.value())
        )
        for message in read(source.bootstrap_servers, source.topic)
    ]
    return Observed(records, list(_dead_letters(source)))


def count(bootstrap_servers: str, topic: str, *, committed: bool) -> int:
    """Number of records; those of aborted transactions too, unless `committed`."""
    isolation = "read_committed" if committed else "read_uncommitted"
    return sum(1 for _ in read(bootstrap_servers, topic, isolation=isolation))


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


class _FrameDecoder:
    """Decodes frames (a zero byte, four bytes of schema id, Avro) by the registry's schemas."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._decoders: dict[int, Decode] = {}

    def __call__(self, data: bytes | None) -> Values | None:
        if data is None or len(data) < 5 or data[0] != 0:
            return None
        decoder = self._decoder(int.from_bytes(data[1:5]))
        try:
            value = decode(decoder, data[5:])
            return tuple([value[name] for name in self._source.fields])
        except (ValueError, KeyError):
            return None  # the verdict on such bytes is "wrong"

    def _decoder(self, schema_id: int) -> Decode:
        if schema_id not in self._decoders:
            url = f"{self._source.registry_url}/schemas/ids/{schema_id}"
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own registry's address
                self._decoders[schema_id] = decoder_of(json.loads(json.load(answer)["schema"]))
        return self._decoders[schema_id]


def _dead_letters(source: Source) -> Iterator[ObservedDeadLetter]:
    for message in chain.from_iterable(read(source.bootstrap_servers, topic) for topic in source.dead_letter_topics):
        pairs: Any = message.headers() or []
        headers: dict[str, bytes] = dict(pairs)
        yield ObservedDeadLetter(
            message.partition() or 0,
            message.offset() or 0,
            headers.get("penstock.dlq.reason", b"").decode(),
            headers.get("penstock.dlq.position", b"").decode(),
            _row(message.value()),
        )


def _row(value: str | bytes | None) -> dict[str, str]:
    """A producer's dead letter holds the row as JSON; a pipeline's the record, which is no row: empty."""
    try:
        row: Any = json.loads(value or b"{}")
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _text(key: str | bytes | None) -> str | None:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
