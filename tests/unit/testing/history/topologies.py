"""The pipelines of the random histories: what the miniature engine runs, and what the model says, are one function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from penstock.testing.history import DeadLetter, Effect, Input, Model, Output, Stage, State

GROUP = "p"
DEAD = {"in": "dlq.p.in", "beside": "dlq.p.in"}


def flat(record: Input, state: State) -> Iterator[Effect]:
    """No state: some are dropped, some fail, some make two."""
    del state
    number = int(record.value or b"")
    if number % 11 == 0:
        yield DeadLetter(instead_of=(Output("out", record.key, b"half %d" % number),))
    elif number % 7 != 0:
        yield Output("out", record.key, b"one %d" % number, timestamp_ms=record.timestamp_ms)
        if number % 5 == 0:
            yield Output("out", record.key, b"two %d" % number)


def same(record: Input, state: State) -> Iterator[Effect]:
    """No state, and results that say nothing about where they come from."""
    del state
    if int(record.value or b"") % 3:
        yield Output("out", record.key, b"seen")


def sums(record: Input, state: State) -> Iterator[Effect]:
    """A sum per key, told with each number; some records fail."""
    number = int(record.value or b"")
    if number % 11 == 0:
        yield DeadLetter(instead_of=(Output("out", record.key, b"half %d" % number),))
        return
    key = b"\x03sum" + (record.key or b"")
    state[key] = b"%d" % (int(state.get(key, b"0")) + number)
    if number % 13 == 0:
        del state[key]
        yield Output("out", record.key, b"gone at %d" % number)
    else:
        yield Output("out", record.key, state[key])


def moved(record: Input, state: State) -> Iterator[Effect]:
    """To another key, as a repartition does."""
    del state
    number = int(record.value or b"")
    if number % 11 == 0:
        yield DeadLetter()
    else:
        origin = f"{record.topic}[{record.partition}]@{record.offset}".encode()
        yield Output("mid", b"%d" % (number % 4), record.value, headers=(("penstock.origin", origin),))


def counts(record: Input, state: State) -> Iterator[Effect]:
    """Of each new key."""
    key = b"\x05count" + (record.key or b"")
    state[key] = b"%d" % (int(state.get(key, b"0")) + 1)
    yield Output("out", record.key, state[key] + b" of " + (record.value or b""))


FLAT = Model(GROUP, [Stage("in", ["in"], flat, ["out"], DEAD)])
SAME = Model(GROUP, [Stage("in", ["in"], same, ["out"])])
SUMS = Model(GROUP, [Stage("in", ["in"], sums, ["out"], DEAD, changelog="in.changelog")])
TOGETHER = Model(GROUP, [Stage("in", ["in", "beside"], sums, ["out"], DEAD, changelog="in.changelog")])
REKEYED = Model(
    GROUP,
    [
        Stage("in", ["in"], moved, ["mid"], DEAD),
        Stage("mid", ["mid"], counts, ["out"], changelog="mid.changelog"),
    ],
)
MODELS = {"flat": FLAT, "same": SAME, "sums": SUMS, "together": TOGETHER, "rekeyed": REKEYED}

PARTITIONS = {"in": 3, "beside": 3, "mid": 2, "out": 2, "dlq.p.in": 3, "in.changelog": 3, "mid.changelog": 2}
"""Of each topic."""


def keyed(model: Model) -> Model:
    """The same, with the state in a form of the model's own: keys as text without the store, values as numbers."""

    def process(stage: Stage, record: Input, state: State) -> list[Effect]:
        name = b"\x03sum" if stage.changelog == "in.changelog" else b"\x05count"
        raw: State = {name + key: b"%d" % value for key, value in state.items()}
        effects = list(stage.process(record, raw))
        state.clear()
        state.update({key.removeprefix(name): int(value) for key, value in raw.items()})
        return effects

    def own(stage: Stage) -> Stage:
        return replace(
            stage,
            process=lambda record, state: process(stage, record, state),
            key=lambda key: key[1 + key[0] :],
            value=lambda _, value: int(value),
        )

    return replace(model, stages=[own(stage) for stage in model.stages])
