"""What a shape should do, as a model for the history checker: a function of one record and a task's state.

None of the engine's code is used. The promise is that for every input partition committed state and visible output are
those of one run over everything in front of the committed offset, so this can be asked at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from penstock.testing.history import DeadLetter, Effect, Input, Model, Output, Stage, State
from penstock.testing.simulation.shape import (
    BETWEEN,
    FIRST,
    IN,
    PIPELINE,
    PLAIN,
    SECOND,
    TABLE,
    Operation,
    Shape,
    number_of,
)

Process = Callable[[Input, State], Iterator[Effect]]

_TABLES = frozenset({"first", "second", "labels"})


def model_of(shape: Shape) -> Model:
    """The pipeline, as the checker has to know it."""
    sources = [TABLE, IN] if shape.joins else [IN]
    outputs = {PLAIN: shape.writes_plain, FIRST: shape.folds, BETWEEN: shape.keys > 0}
    parks = shape.retry == "key"
    stages = [
        Stage(
            "in",
            sources,
            _first_half(shape),
            outputs=[topic for topic, is_there in outputs.items() if is_there],
            dead_letters={topic: f"dlq.{PIPELINE}.{topic}" for topic in sources},
            changelog=f"{PIPELINE}.{IN}.changelog" if shape.folds or shape.joins or parks else None,
            key=_key,
            value=_value,
            parks=parks,
        ),
        Stage(
            "again",
            [BETWEEN],
            _second_half(shape),
            outputs=[SECOND],
            dead_letters={BETWEEN: f"dlq.{BETWEEN}"},
            changelog=f"{PIPELINE}.again.changelog",
            key=_key,
            value=_value,
            parks=parks,
        ),
    ]
    return Model(PIPELINE, stages if shape.keys else stages[:1])


def values_of(value: bytes, operations: Iterable[Operation]) -> list[str] | None:
    """What a record turns into; None = it fails for good."""
    try:
        values = [value.decode()]
    except UnicodeDecodeError:
        return None
    for operation in operations:
        following: list[str] = []
        for each in values:
            number, _, name = each.partition("/")
            amount = int(number)
            is_multiple = amount % operation.number == 0
            if operation.verb == "map":
                following.append(f"{amount + operation.number}/{name}")
            elif operation.verb == "split" and amount % 2 == 0:
                following += [f"{number}/{name}a", f"{number}/{name}b"]
            elif operation.verb in {"refuse", "despair"} and is_multiple:
                return None
            elif operation.verb != "filter" or not is_multiple:
                following.append(each)
        values = following
    return values


def _first_half(shape: Shape) -> Process:
    def process(record: Input, state: State) -> Iterator[Effect]:
        key = (record.key or b"").decode()
        if record.topic == TABLE:
            state["labels", key] = (record.value or b"").decode()
            return
        values = values_of(record.value or b"", shape.before)
        if values is not None and shape.joins:
            label = state.get(("labels", key))
            values = [] if label is None else [f"{value}+{label}" for value in values]
        if values is None or _cannot_be_shown(shape, values):
            yield DeadLetter()
            return
        for value in values if shape.writes_plain else ():
            yield Output(PLAIN, record.key, value.encode())
        for value in values if shape.folds else ():
            yield _grown("first", FIRST, key, value, state)
        for value in values if shape.keys else ():
            yield Output(BETWEEN, f"k{number_of(value) % shape.keys}".encode(), value.encode())

    return process


def _cannot_be_shown(shape: Shape, values: Iterable[str]) -> bool:
    return shape.folds and shape.hides > 0 and any(number_of(value) % shape.hides == 0 for value in values)


def _second_half(shape: Shape) -> Process:
    def process(record: Input, state: State) -> Iterator[Effect]:
        values = values_of(record.value or b"", shape.after)
        if values is None:
            yield DeadLetter()
            return
        for value in values:
            yield _grown("second", SECOND, (record.key or b"").decode(), value, state)

    return process


def _grown(store: str, topic: str, key: str, value: str, state: State) -> Output:
    before = state.get((store, key), "")
    state[store, key] = grown = f"{before} {value}" if before else value
    return Output(topic, key.encode(), grown.encode())


def _key(stored: bytes) -> tuple[str, str] | None:
    """A changelog's key: the store's name behind its length, then the key (docs/reference/names-and-formats.md).

    What is parked is no part of the model: it is on its way.
    """
    length = stored[0]
    store = stored[1 : length + 1].decode()
    return (store, stored[length + 1 :].decode()) if store in _TABLES else None


def _value(key: bytes, stored: bytes) -> str:
    """A table's value stands behind a version and beside a time."""
    del key
    value, _time_ms = msgspec.msgpack.decode(stored[1:], type=tuple[str, int])
    return value
