"""The loop one would write by hand: consume, decode, compute, encode, produce, offsets and commit, every 100 ms.

Exactly once within one run, and nothing more: no restore, no digest, no dead letters, no check of membership, no order
between inputs, no doubt about a commit. It has the options of our own clients, so that only the code differs.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import msgspec
from confluent_kafka import Consumer, Message, Producer, TopicPartition

import penstock as ps
from benchmarks import bids
from benchmarks.window import Window
from penstock.kafka.client import Connection
from penstock.kafka.producer import DEFAULTS
from penstock.kafka.reader import Reader
from penstock.protocols import SchemaRegistry
from penstock.runtime.limits import WorkerLimits

LIMITS = WorkerLimits()

Work = Callable[[list[Message]], Sequence[bytes | None]]
"""Values to write, one per message; None = nothing."""

Changes = Callable[[], Sequence[tuple[bytes, bytes, int]]]
"""(key, value, partition) for the changelog, what changed since the last call."""


def run(
    connection: Connection,
    name: str,
    topic: str,
    output: str,
    work: Work,
    window: Window,
    *,
    changelog: tuple[str, Changes] | None = None,
) -> None:
    """Run until the window is over."""
    consumer = Consumer(
        {
            "bootstrap.servers": connection.bootstrap_servers,
            "group.id": name,
            "client.id": name,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "check.crcs": True,
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": 16_384,
        }
    )
    producer = Producer(
        {**DEFAULTS, "bootstrap.servers": connection.bootstrap_servers, "client.id": name, "transactional.id": name}
    )
    producer.init_transactions(30)
    consumer.subscribe([topic])
    offsets: dict[tuple[str, int], int] = {}
    staged = 0
    due_at_s: float | None = None
    while window.measured is None:
        wait_s = 0.1 if due_at_s is None else min(0.02, max(0.0, due_at_s - time.monotonic()))
        found = consumer.consume(LIMITS.max_batch_records, wait_s)  # as our consumer does
        messages = [each for each in found if not each.error()]
        if messages and due_at_s is None:
            producer.begin_transaction()
            due_at_s = time.monotonic() + LIMITS.commit_interval_s
        for message, value in zip(messages, work(messages), strict=True):
            if value is not None:
                _produce(producer, output, value, message.key(), -1, message.timestamp()[1])
            offsets[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + 1
        producer.poll(0)
        staged += len(messages)
        if due_at_s is not None and (time.monotonic() >= due_at_s or staged >= LIMITS.max_transaction_records):
            began_s = time.perf_counter()
            for key, value, partition in changelog[1]() if changelog is not None else ():
                _produce(producer, changelog[0] if changelog else "", value, key, partition, 0)
            positions = [TopicPartition(topic, part, offset) for (topic, part), offset in offsets.items()]
            producer.flush(30)
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 30)
            producer.commit_transaction(30)
            window.committed(staged, time.perf_counter() - began_s)
            staged, due_at_s = 0, None
    consumer.close()


def _produce(
    producer: Producer, topic: str, value: bytes, key: bytes | None, partition: int, timestamp_ms: int
) -> None:
    while True:
        try:
            producer.produce(topic, value, key, partition, None, None, timestamp_ms)
        except BufferError:
            producer.poll(0.005)
        else:
            return


# ---------------------------------------------------------------- the jobs, by hand


def stateless(registry: SchemaRegistry, topic: str, output: str) -> Work:
    """Filter and map, with the guarded codec."""
    decode = ps.Topic(topic, key=str, value=bids.Bid).bind(registry).decode_values
    encode = ps.Topic(output, key=str, value=bids.Offer).bind(registry, auto_register=True).encode_values

    def work(messages: list[Message]) -> Sequence[bytes | None]:
        values: list[Any] = decode([message.value() for message in messages]).values
        high = [bids.is_high(bid) for bid in values]
        encoded = iter(encode([bids.offer(bid) for bid, keep in zip(values, high, strict=True) if keep]))
        return [next(encoded) if keep else None for keep in high]

    return work


def naked(registry: SchemaRegistry, topic: str, output: str) -> Work:
    """Filter and map with fastavro alone: dicts, the writer's schema taken for granted, no check of anything."""
    del topic
    reads = fastavro.parse_schema(json.loads(bids.Bid.__avro_schema__))
    writes = fastavro.parse_schema(json.loads(bids.Offer.__avro_schema__))
    frame = b"\0" + registry.register(f"{output}-value", bids.Offer.__avro_schema__).id.to_bytes(4, "big")

    def work(messages: list[Message]) -> Sequence[bytes | None]:
        return [one(message.value()) for message in messages]

    def one(data: Any) -> bytes | None:
        stream = io.BytesIO(data)
        stream.seek(5)
        bid: Any = fastavro.schemaless_reader(stream, reads, None)
        if bid["price"] < bids.LOWEST_PRICE:
            return None
        made = {
            "auction": bid["auction"],
            "bidder": bid["bidder"],
            "channel": bid["channel"],
            "cents": int(bid["price"] * 100),
            "items": bid["count"],
        }
        buffer = io.BytesIO()
        buffer.write(frame)
        fastavro.schemaless_writer(buffer, writes, made)
        return buffer.getvalue()

    return work


def aggregate(registry: SchemaRegistry, topic: str, output: str) -> tuple[Work, Changes]:
    """Totals per key in a dict, whose changes go to a changelog."""
    decode = ps.Topic(topic, key=str, value=bids.Bid).bind(registry).decode_values
    encode = ps.Topic(output, key=str, value=bids.Totals).bind(registry, auto_register=True).encode_values
    pack = msgspec.msgpack.Encoder().encode
    totals: dict[bytes, bids.Totals] = {}
    dirty: dict[bytes, int] = {}

    def work(messages: list[Message]) -> Sequence[bytes | None]:
        values: list[Any] = decode([message.value() for message in messages]).values
        results: list[bids.Totals] = []
        for message, bid in zip(messages, values, strict=True):
            key: Any = message.key()
            result = bids.add(totals.get(key) or bids.Totals(), bid)
            totals[key] = result
            dirty[key] = message.partition() or 0
            results.append(result)
        return encode(results)

    def changes() -> Sequence[tuple[bytes, bytes, int]]:
        changed = [(key, pack(totals[key]), partition) for key, partition in dirty.items()]
        dirty.clear()
        return changed

    return work, changes


def join(registry: SchemaRegistry, topic: str, output: str, table: dict[bytes, bids.Auction]) -> Work:
    """Each bid with its auction's row, out of a dict that was read before."""
    decode = ps.Topic(topic, key=str, value=bids.Bid).bind(registry).decode_values
    encode = ps.Topic(output, key=str, value=bids.Sale).bind(registry, auto_register=True).encode_values

    def work(messages: list[Message]) -> Sequence[bytes | None]:
        values: list[Any] = decode([message.value() for message in messages]).values
        keys: list[Any] = [message.key() for message in messages]
        rows = [table.get(key) for key in keys]
        sales = [bids.sale(bid, row) for bid, row in zip(values, rows, strict=True) if row is not None]
        encoded = iter(encode(sales))
        return [None if row is None else next(encoded) for row in rows]

    return work


def read_table(connection: Connection, registry: SchemaRegistry, topic: str, partitions: int) -> dict[bytes, Any]:
    """The latest row of each key."""
    decode = ps.Topic(topic, key=str, value=bids.Auction).bind(registry).decode_values
    table: dict[bytes, Any] = {}
    with Reader(connection) as reader:
        starts = {(topic, partition): 0 for partition in range(partitions)}
        reader.assign(starts)
        while reader.at_end != starts.keys():
            records = reader.poll(0.1)
            rows = decode([record.value for record in records]).values
            table.update(zip((record.key or b"" for record in records), rows, strict=True))
    return table
