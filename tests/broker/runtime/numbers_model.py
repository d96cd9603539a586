"""What the pipelines over the numbers should do, for the history checker; written without the engine's code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.testing.history import DeadLetter, Effect, Input, Model, Output, Stage, State
from tests.broker.runtime.numbers_topic import SKIPPED, Numbers


def summing(pipeline: str, numbers: Numbers) -> Model:
    """Of `crashing_worker` and `group_worker`: a sum per key, told with each number; what is none is a dead letter."""

    def process(record: Input, state: State) -> Iterator[Effect]:
        if record.value == SKIPPED:
            return
        if not (record.value or b"").isdigit():
            yield DeadLetter()
            return
        total, latest_ms = state.get(record.key, (0, 0))
        total += int(record.value or b"")
        state[record.key] = (total, max(latest_ms, record.timestamp_ms))
        yield Output(f"{pipeline}-sums", record.key, b"%d" % total)

    stage = Stage(
        numbers.topic,
        sources=numbers.topics,
        process=process,
        outputs=[f"{pipeline}-sums"],
        dead_letters={numbers.topic: f"dlq.{pipeline}.{numbers.topic}"},
        changelog=f"{pipeline}.{numbers.topic}.changelog",
        key=lambda key: state_key(key, b"sum"),
        value=lambda _, value: state_value(value),
    )
    return Model(pipeline, [stage])


def rekeyed(pipeline: str, numbers: Numbers, between: str) -> Model:
    """Of `rekeying_worker`: numbers go to the task of their last digit; there they are counted and summed."""

    def move(record: Input, state: State) -> Iterator[Effect]:
        del state
        if not (record.value or b"").isdigit():
            yield DeadLetter()
            return
        value = record.value or b""
        headers = (("penstock.origin", str(record).encode()), ("penstock.time", value))
        yield Output(between, value[-1:], value, headers=headers, timestamp_ms=record.timestamp_ms)

    def count(record: Input, state: State) -> Iterator[Effect]:
        (number, total), latest_ms = state.get(record.key, ((0, 0), 0))
        number, total = number + 1, total + int(record.value or b"")
        state[record.key] = ((number, total), max(latest_ms, record.timestamp_ms))
        yield Output(f"{pipeline}-sums", record.key, b"%d %d" % (number, total))

    dead = {numbers.topic: f"dlq.{pipeline}.{numbers.topic}"}
    stages = [
        Stage(numbers.topic, sources=[numbers.topic], process=move, outputs=[between], dead_letters=dead),
        Stage(
            "by-digit",
            sources=[between],
            process=count,
            outputs=[f"{pipeline}-sums"],
            changelog=f"{pipeline}.by-digit.changelog",
            key=lambda key: state_key(key, b"sum"),
            value=lambda _, value: state_value(value),
        ),
    ]
    return Model(pipeline, stages)


def state_key(key: bytes, store: bytes) -> bytes:
    """A key of the only store there is."""
    prefix = bytes([len(store)]) + store
    assert key.startswith(prefix)
    return key.removeprefix(prefix)


def state_value(value: bytes) -> Any:
    """Behind a version: what an aggregate keeps, and the latest Kafka timestamp that went into it."""
    assert value[:1] == b"\x01"
    kept, latest_ms = msgspec.msgpack.decode(value[1:])
    return (tuple(kept) if isinstance(kept, list) else kept, latest_ms)
