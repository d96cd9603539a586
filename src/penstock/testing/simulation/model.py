"""What should have come of the input: a plain fold, one record after another. None of the engine's code is used.

The promise is that for every input partition committed state and visible output are those of one run over everything in
front of the committed offset. So this can be asked at any moment, also of a pipeline that stands still.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock.testing.simulation.shape import Operation, Shape


class Given(NamedTuple):
    """A record that a task has dealt with: its offset, key and value."""

    offset: int
    key: str
    value: bytes


@dataclass(slots=True)
class Made:
    """What comes of one task's input.

    Attributes:
        plain: {key: values written, in their order}.
        again: likewise, of the repartition topic.
        histories: {key: names that a fold was given, in their order}.
        dead: offsets of the records that are set aside.
    """

    plain: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    again: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    histories: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    dead: list[int] = field(default_factory=list[int])


def first_half(shape: Shape, records: Iterable[Given], table: dict[str, str]) -> Made:
    """What comes of one partition of `in`."""
    made = Made()
    for record in records:
        values = values_of(record, shape.before, table if shape.joins else None)
        if values is None:
            made.dead.append(record.offset)
            continue
        for value in values:
            if shape.writes_plain:
                made.plain[record.key].append(value)
            if shape.folds:
                made.histories[record.key].append(value)
            if shape.keys:
                number, _, _ = value.partition("/")
                made.again[f"k{int(number) % shape.keys}"].append(value)
    return made


def second_half(shape: Shape, records: Iterable[Given]) -> Made:
    """What comes of one partition of the repartition topic."""
    made = Made()
    for record in records:
        values = values_of(record, shape.after, None)
        if values is None:
            made.dead.append(record.offset)
            continue
        made.histories[record.key] += values
    return made


def values_of(record: Given, operations: Iterable[Operation], table: dict[str, str] | None) -> list[str] | None:
    """What a record turns into; None = it fails."""
    try:
        values = [record.value.decode()]
    except UnicodeDecodeError:
        return None
    for operation in operations:
        following: list[str] = []
        for value in values:
            number, _, name = value.partition("/")
            amount = int(number)
            if operation.verb == "map":
                following.append(f"{amount + operation.number}/{name}")
            elif operation.verb == "split" and amount % 2 == 0:
                following += [f"{number}/{name}a", f"{number}/{name}b"]
            elif operation.verb == "refuse" and amount % operation.number == 0:
                return None
            elif operation.verb != "filter" or amount % operation.number != 0:
                following.append(value)
        values = following
    if table is None:
        return values
    return [f"{value}+{table[record.key]}" for value in values if record.key in table]


def grown(history: Iterable[str]) -> list[str]:
    """What a fold writes: after each value the whole history so far."""
    written: list[str] = []
    so_far = ""
    for value in history:
        so_far = f"{so_far} {value}" if so_far else value
        written.append(so_far)
    return written
