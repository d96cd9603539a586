"""How long a record takes at a steady 5,000 a second: from produce to the receipt of its result, read_committed.

A result carries the timestamp of its record, so nothing has to be matched.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from confluent_kafka import Consumer, TopicPartition

import penstock as ps
from benchmarks import bids, stage
from benchmarks.measure import Row
from benchmarks.stage import PARTITIONS, Stage
from benchmarks.window import Measured
from penstock.kafka.producer import IdempotentProducer

RATE = 5_000
TICK_S = 0.01
WARM_UP_S = 6
MEASURED_S = 8
ROUNDS = 3
CONTESTANTS = (("bare loop", "bare"), ("penstock", "penstock"))


def run() -> list[Row]:
    """The stateless job, ours and by hand, in turn."""
    found: dict[str, list[tuple[list[int], Measured]]] = {system: [] for system, _ in CONTESTANTS}
    with stage.stage() as on:
        for number in range(ROUNDS):
            for system, kind in CONTESTANTS:
                found[system].append(_one(on, kind, f"paced-{kind}-{number}"))
    base = statistics.median(percentile(delays_ms, 50) for delays_ms, _ in found["bare loop"])
    return [_row(system, runs, base) for system, runs in found.items()]


def _row(system: str, runs: list[tuple[list[int], Measured]], base_ms: float) -> Row:
    p50_ms = statistics.median(percentile(delays_ms, 50) for delays_ms, _ in runs)
    return Row(
        job=f"latency at {RATE:,} records/s",
        system=system,
        records_per_s=round(statistics.median(each.records / each.wall_s for _, each in runs)),
        cpu_us_per_record=round(statistics.median(each.cpu_s / each.records for _, each in runs) * 1e6, 2),
        ratio_to_baseline=round(base_ms / p50_ms, 3),
        runs=len(runs),
        latency_ms_p50=p50_ms,
        latency_ms_p99=statistics.median(percentile(delays_ms, 99) for delays_ms, _ in runs),
    )


def _one(on: Stage, kind: str, topic: str) -> tuple[list[int], Measured]:
    """Delays in milliseconds behind the warm-up, and what the process took meanwhile."""
    total = RATE * (WARM_UP_S + MEASURED_S)
    task = on.task(kind, "stateless", source=on.topic(topic), auctions="", warm_up=RATE * WARM_UP_S, records=total)
    is_over = Event()
    with ThreadPoolExecutor(2) as pool:
        measured = pool.submit(stage.run, task)
        delays = pool.submit(delays_of, on, task.output, is_over)
        pace(on, topic, total)
        result = measured.result()
        is_over.set()
        return delays.result(), result


def pace(on: Stage, topic: str, total: int) -> None:
    """Produce at the rate, a few every tick; late ticks are made up for at once."""
    rows = bids.bids(RATE)
    bound = ps.Topic(topic, key=str, value=bids.Bid).bind(on.registry, auto_register=True)
    values, keys = bound.encode_values(rows), bound.encode_keys([bids.key_of(bid.auction) for bid in rows])
    producer = IdempotentProducer(on.connection, f"pace-{topic}", {"linger.ms": 1})
    began_s, sent = time.monotonic(), 0
    while sent < total:
        due = min(total, int((time.monotonic() - began_s) * RATE))
        places = [place % RATE for place in range(sent, due)]
        now_ms = [time.time_ns() // 1_000_000] * len(places)
        producer.produce(topic, [keys[i] for i in places], [values[i] for i in places], timestamps_ms=now_ms)
        sent = due
        time.sleep(TICK_S)
    producer.flush(30)


def delays_of(on: Stage, topic: str, is_over: Event) -> list[int]:
    """Of the results of records that were stamped behind the warm-up."""
    consumer = Consumer(
        {
            "bootstrap.servers": on.connection.bootstrap_servers,
            "group.id": f"{topic}-clock",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    counts_from_ms = (time.time_ns() // 1_000_000) + WARM_UP_S * 1_000
    delays_ms: list[int] = []
    while not is_over.is_set():
        messages = consumer.consume(1_000, 0.001)
        now_ms = time.time_ns() // 1_000_000
        stamps_ms = [message.timestamp()[1] for message in messages if not message.error()]
        delays_ms += [now_ms - stamp_ms for stamp_ms in stamps_ms if stamp_ms >= counts_from_ms]
    consumer.close()
    return delays_ms


def percentile(delays_ms: list[int], percent: int) -> float:
    """So many of a hundred are not above it."""
    return sorted(delays_ms)[len(delays_ms) * percent // 100]
