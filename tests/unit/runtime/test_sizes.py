"""How large batches are: exact, and each record is looked at once, however many ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.batch import SourceBatch, size_of
from penstock.runtime.merge import MergeBuffer
from penstock.runtime.staged import OutputBatch, Staged


class Watched(list[Any]):
    """A column that notes how often somebody goes through it."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        self.looks += 1
        return super().__iter__()


@pytest.mark.parametrize(
    ("column", "size"), [([], 0), ([None, None], 0), ([b"ab", b"", b"c"], 3), ([b"ab", None, b"c"], 3)]
)
def test_what_is_null_has_no_bytes(column: list[bytes | None], size: int) -> None:
    assert size_of(column) == size


def source(keys: list[bytes | None], values: list[bytes | None]) -> SourceBatch:
    return SourceBatch("in", 0, list(range(len(keys))), keys, values, [0] * len(keys))


def output(keys: list[bytes | None], values: list[bytes | None]) -> OutputBatch:
    return OutputBatch("out", keys, values, [0] * len(keys))


@pytest.mark.parametrize("made", [source, output])
def test_a_batch_has_the_bytes_of_its_keys_and_values(
    made: Callable[[list[bytes | None], list[bytes | None]], SourceBatch | OutputBatch],
) -> None:
    keys, values = Watched([b"k1", b"k2", b"k3"]), Watched([b"value", None, b"v"])
    batch = made(keys, values)
    assert batch.size_bytes == batch.size_bytes == 6 + 6
    assert (keys.looks, values.looks) == (1, 2), "once, and once more where there is a null"


def test_what_was_measured_on_its_way_in_is_not_measured_again() -> None:
    """Back-pressure, the pace of a task, the transaction and metrics all want to know."""
    values = Watched([b"v"] * 10)
    batch = source([b"k"] * 10, values)
    buffer = MergeBuffer([("in", 0)])
    buffer.add(batch)
    assert buffer.buffered_bytes(("in", 0)) == 20
    taken = buffer.next(10)
    assert taken is not None
    assert taken.size_bytes == 20
    assert values.looks == 1
    written = Watched([b"v"] * 10)
    staged = Staged([output([None] * 10, written)], state_bytes=5)
    assert staged.size_bytes == staged.size_bytes == 15
    assert written.looks == 1


def test_a_part_of_a_batch_has_its_own_bytes() -> None:
    whole = source([b"k"] * 3, [b"a", b"bb", b"ccc"])
    assert whole.size_bytes == 9
    assert whole.slice(0, 1).size_bytes == 2
    assert whole.take([2]).size_bytes == 4


def test_an_output_that_grows_after_it_was_measured_is_measured_anew() -> None:
    batch = output([b"k"], [b"a"])
    assert batch.size_bytes == 2
    batch.extend(output([b"k"], [b"bcd"]))
    assert batch.size_bytes == 2 + 4
    assert batch.values == [b"a", b"bcd"]
