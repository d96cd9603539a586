"""Histories that a rule was written for, each with what it is to be called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from penstock.testing.history import (
    DeadLetter,
    Effect,
    History,
    Input,
    Kind,
    Model,
    Output,
    Place,
    Stage,
    State,
)
from tests.unit.testing.history.by_hand import ByHand


def echo(record: Input, state: State) -> Iterator[Effect]:
    """What comes in, with its timestamp; 11 fails."""
    del state
    if record.value == b"11":
        yield DeadLetter()
    else:
        yield Output("out", record.key, record.value)


def timed(record: Input, state: State) -> Iterator[Effect]:
    del state
    yield Output("out", record.key, record.value, partition=0, headers=(("a", b"b"),), timestamp_ms=5)


ECHO = Model("p", [Stage("in", ["in"], echo, ["out"], {"in": "dlq.p.in"})])
TIMED = Model("p", [Stage("in", ["in"], timed, ["out"])])


@dataclass(frozen=True)
class Planted:
    """A history with one thing wrong.

    Attributes:
        name: of the case.
        history: what is judged.
        model: by what.
        kinds: what has to be found, and nothing else.
        at: where the verdict, or one of them, stands.
    """

    name: str
    history: History
    model: Model
    kinds: frozenset[Kind]
    at: tuple[Place, int] | None

    def __str__(self) -> str:
        return self.name


Writes = Callable[[ByHand], None]
_CASES: list[tuple[str, Model, Writes, tuple[Kind, ...], tuple[Place, int] | None]] = []


def case(name: str, model: Model, *kinds: Kind, at: tuple[Place, int] | None = None) -> Callable[[Writes], Writes]:
    def add(writes: Writes) -> Writes:
        _CASES.append((name, model, writes, kinds, at))
        return writes

    return add


def written() -> list[Planted]:
    """Those of the modules that are imported: see `by_hand.py`."""
    found: list[Planted] = []
    for name, model, writes, kinds, at in _CASES:
        hand = ByHand(model)
        writes(hand)
        found.append(Planted(name, hand.history, model, frozenset(kinds), at))
    return found
