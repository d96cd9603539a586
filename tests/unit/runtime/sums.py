"""A pipeline that adds numbers up, its input, and what should come of it."""

from __future__ import annotations

from typing import Final

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.merge import Partition
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster

IN: Final = Topic("in", key=str, value=str)
OUT: Final = Topic("out", key=str, value=str)
A: Final[Partition] = ("in", 0)
B: Final[Partition] = ("in", 1)
ROWS: Final = 10


def cluster(partitions: int = 1, rows: int = ROWS, bad: int | None = None) -> Cluster:
    values = [b"bad" if n == bad else b"%d" % n for n in range(rows)]
    return Cluster({("in", p): [(n, b"k%d" % p, values[n], n) for n in range(rows)] for p in range(partitions)})


def sums() -> Pipeline:
    made = Pipeline("p")
    numbers = made.stream(IN).map(int, name="parse")
    numbers.aggregate(int, lambda total, n: total + n, name="sum").to_stream().map(str, name="show").to(OUT)
    return made


def totals(rows: int = ROWS) -> list[bytes]:
    return [b"%d" % sum(range(n + 1)) for n in range(rows)]
