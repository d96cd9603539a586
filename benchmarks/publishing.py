"""Publishing 100,000 flights: a producer with a cursor against the loop one would write by hand.

The baseline does the least that is still correct within one run: confluent-kafka, fastavro, the Confluent frame, one
transaction per commit interval. It has no cursor, no dead letters, no type checks: it cannot resume.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import msgspec
from confluent_kafka import Producer

import penstock as ps
from benchmarks.measure import Contestant, Row, compare
from penstock.embedded import KafkaCluster
from penstock.embedded.registry import RegistryServer
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.producer import DEFAULTS
from penstock.kafka.registry import RegistryClient
from penstock.protocols import TransactionHooks
from penstock.publishing.feed import PublishingLimits
from penstock.publishing.opening import Surroundings, opened
from producers.flights import flights
from schemas.flights import Flight

RECORDS = 100_000
PARTITIONS = 8
COMMIT_INTERVAL_S = PublishingLimits().commit_interval_s
ROUNDS = 5


class Strict(TransactionHooks):
    """Nothing may go wrong here: a benchmark that retries measures something else."""

    def on_abort(self, error: Exception) -> None:
        """Fail."""
        raise error


def run() -> list[Row]:
    """Both, five interleaved pairs, on one broker with benchmark settings."""
    records = _records()
    with (
        KafkaCluster(benchmark=True) as cluster,
        RegistryServer(bootstrap_servers=cluster.bootstrap_servers) as registry,
        contextlib.closing(RegistryClient(registry.url)) as client,
    ):
        connection = Connection(cluster.bootstrap_servers)
        topics = (f"flights-{n}" for n in itertools.count())
        schema_id = client.register("bench-value", Flight.__avro_schema__).id
        return compare(
            "publish flights",
            [
                Contestant("confluent-kafka + fastavro", lambda: _bare(connection, next(topics), records, schema_id)),
                Contestant("penstock producer", lambda: _ours(connection, client, next(topics), records)),
            ],
            rounds=ROUNDS,
        )


def _records() -> list[ps.Record[str, Flight]]:
    """The first rows of the real data, converted beforehand: the conversion is the same for both."""
    convert: Any = flights.convert
    records: list[ps.Record[str, Flight]] = []
    for row in flights(None):
        if len(records) == RECORDS:
            break
        if row is not None:
            with contextlib.suppress(ps.BadRow):
                records.append(convert(row[1]))
    return records


def _ours(connection: Connection, registry: RegistryClient, topic: str, records: list[ps.Record[str, Flight]]) -> int:
    @ps.producer(topic, topic=ps.Topic(topic, key=str, value=Flight, partitions=PARTITIONS))
    def source(cursor: int | None) -> Iterator[tuple[int, ps.Record[str, Flight]]]:
        yield from enumerate(records[0 if cursor is None else cursor + 1 :])

    with tempfile.TemporaryDirectory() as state:
        around = Surroundings(connection, registry, project="bench", state_directory=Path(state))
        with opened(source, around, Strict()) as producer:
            return producer.run().records


def _bare(connection: Connection, topic: str, records: list[ps.Record[str, Flight]], schema_id: int) -> int:
    Admin(connection).create([TopicSettings(topic, PARTITIONS)])
    schema = fastavro.parse_schema(json.loads(Flight.__avro_schema__))
    write = fastavro.schemaless_writer
    frame = b"\0" + schema_id.to_bytes(4, "big")
    producer = Producer(
        {**DEFAULTS, "bootstrap.servers": connection.bootstrap_servers, "transactional.id": f"bare-{topic}"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    began = time.monotonic()
    for record in records:
        buffer = io.BytesIO()
        buffer.write(frame)
        write(buffer, schema, msgspec.structs.asdict(record.value))
        while True:
            try:
                producer.produce(topic, buffer.getvalue(), record.key.encode())
                break
            except BufferError:
                producer.poll(0.005)
        if time.monotonic() - began > COMMIT_INTERVAL_S:
            producer.commit_transaction(30)
            producer.begin_transaction()
            began = time.monotonic()
    producer.commit_transaction(30)
    return len(records)
