"""What the topics hold, read by a bare consumer and decoded by Apache's Avro library: none of penstock's code."""

from __future__ import annotations

import io
import json
import multiprocessing
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from avro.io import BinaryDecoder, DatumReader
from avro.schema import Schema, parse
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

Values = tuple[Any, ...]

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class ObservedRecord:
    """A committed record; `values` follow the fields asked for, and are None where the bytes are no such record."""

    partition: int
    offset: int
    key: str | None
    values: Values | None


@dataclass(frozen=True, slots=True)
class ObservedDeadLetter:
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
    dead_letter_topic: str
    fields: tuple[str, ...]


def observe(sources: Mapping[str, Source]) -> dict[str, Observed]:
    """{data set: everything that is committed in its topic and its dead-letter topic}; on two processor cores."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        halves = {
            name: [processes.submit(_records, source, share) for share in _halves(source)]
            for name, source in sources.items()
        }
        return {
            name: Observed(
                records=[record for half in halves[name] for record in half.result()],
                dead_letters=list(_dead_letters(source)),
            )
            for name, source in sources.items()
        }


def count(bootstrap_servers: str, topic: str, *, committed: bool) -> int:
    """Number of records; those of aborted transactions too, unless `committed`."""
    isolation = "read_committed" if committed else "read_uncommitted"
    return sum(1 for _ in read(bootstrap_servers, topic, isolation=isolation))


def read(
    bootstrap_servers: str, topic: str, partitions: Sequence[int] | None = None, isolation: str = "read_committed"
) -> Iterator[Message]:
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
        if partitions is None:
            partitions = partitions_of(consumer, topic)
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


def partitions_of(consumer: Consumer, topic: str) -> list[int]:
    """The topic's partitions."""
    metadata = consumer.list_topics(topic, timeout=30).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return sorted(metadata.partitions)


def without_logical_types(schema: Any) -> Any:
    """The schema with plain types only, so that timestamps stay the numbers they were written as."""
    if isinstance(schema, dict):
        return {name: without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    return schema


class _Decoder:
    """Decodes frames (a zero byte, four bytes of schema id, Avro) by the registry's schemas."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._readers: dict[int, DatumReader] = {}

    def __call__(self, data: bytes | None) -> Values | None:
        if data is None or len(data) < 5 or data[0] != 0:
            return None
        body = io.BytesIO(data)
        body.seek(5)
        try:
            value: Any = self._reader(int.from_bytes(data[1:5])).read(BinaryDecoder(body))
            return tuple([value[name] for name in self._source.fields])
        except Exception:  # noqa: BLE001 - whatever Avro says to broken bytes, the verdict on them is "wrong"
            return None

    def _reader(self, schema_id: int) -> DatumReader:
        if schema_id not in self._readers:
            url = f"{self._source.registry_url}/schemas/ids/{schema_id}"
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own registry's address
                text = json.load(answer)["schema"]
            schema: Schema = parse(json.dumps(without_logical_types(json.loads(text))))
            self._readers[schema_id] = DatumReader(schema)
        return self._readers[schema_id]


def _halves(source: Source) -> list[list[int]]:
    consumer = Consumer({"bootstrap.servers": source.bootstrap_servers, "group.id": "demo-verdict"})
    try:
        partitions = partitions_of(consumer, source.topic)
    finally:
        consumer.close()
    return [half for half in (partitions[::2], partitions[1::2]) if half]


def _records(source: Source, partitions: list[int]) -> list[ObservedRecord]:
    decode = _Decoder(source)
    return [
        ObservedRecord(message.partition() or 0, message.offset() or 0, _text(message.key()), decode(message.value()))
        for message in read(source.bootstrap_servers, source.topic, partitions)
    ]


def _dead_letters(source: Source) -> Iterator[ObservedDeadLetter]:
    for message in read(source.bootstrap_servers, source.dead_letter_topic):
        pairs: Any = message.headers() or []
        headers: dict[str, bytes] = dict(pairs)
        yield ObservedDeadLetter(
            message.partition() or 0,
            message.offset() or 0,
            headers.get("penstock.dlq.reason", b"").decode(),
            headers.get("penstock.dlq.position", b"").decode(),
            json.loads(message.value() or b"{}"),
        )


def _text(key: str | bytes | None) -> str | None:
    return key.decode(errors="replace") if isinstance(key, bytes) else key
