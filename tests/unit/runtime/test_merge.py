"""Merging a task's inputs by timestamp."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.batch import SourceBatch
from penstock.runtime.merge import MergeBuffer, Partition

A, B = ("a", 0), ("b", 0)


def batch(partition: Partition, timestamps_ms: list[int], first_offset: int = 0) -> SourceBatch:
    count = len(timestamps_ms)
    offsets = list(range(first_offset, first_offset + count))
    values: list[bytes | None] = [str(offset).encode() for offset in offsets]
    return SourceBatch(*partition, offsets, [None] * count, values, timestamps_ms)


def drain(buffer: MergeBuffer, max_records: int) -> list[tuple[str, int, int]]:
    out = []
    while (run := buffer.next(max_records)) is not None:
        out += [(run.topic, offset, t) for offset, t in zip(run.offsets, run.timestamps_ms, strict=True)]
    return out


def test_a_run_ends_where_the_other_input_comes_first() -> None:
    buffer = MergeBuffer([A, B])
    buffer.add(batch(A, [1, 2, 5]))
    buffer.add(batch(B, [3, 5]))
    run = buffer.next(100)
    assert run is not None
    assert (run.topic, run.offsets) == ("a", [0, 1])


def test_an_input_that_may_have_more_is_waited_for() -> None:
    buffer = MergeBuffer([A, B])
    buffer.add(batch(A, [1]))
    assert buffer.next(100) is None
    buffer.mark_end(B, 0)
    assert buffer.next(100) is not None


def test_an_end_does_not_outlive_the_records_behind_it() -> None:
    buffer = MergeBuffer([A, B])
    buffer.mark_end(B, 0)
    buffer.add(batch(B, [1]))
    buffer.add(batch(A, [2]))
    assert drain(buffer, 10) == [("b", 0, 1)]  # B may have more that is earlier than A's


def test_an_end_counts_only_until_more_arrives() -> None:
    buffer = MergeBuffer([A, B])
    buffer.mark_end(B, 0)
    buffer.add(batch(B, [1]))
    assert drain(buffer, 10) == []  # A may have something earlier
    buffer.mark_end(A, 0)
    assert drain(buffer, 10) == [("b", 0, 1)]


def test_equal_timestamps_go_in_the_order_of_the_sources() -> None:
    buffer = MergeBuffer([B, A])
    buffer.add(batch(A, [7]))
    buffer.add(batch(B, [7]))
    buffer.mark_end(A, 0)
    buffer.mark_end(B, 0)
    assert [topic for topic, _, _ in drain(buffer, 10)] == ["b", "a"]


TIMES = st.lists(st.integers(0, 8), max_size=12)


@given(TIMES, TIMES, st.integers(1, 5), st.integers(1, 13), st.integers(1, 13))
def test_any_cut_gives_the_same_order(a: list[int], b: list[int], size: int, cut_a: int, cut_b: int) -> None:
    """However the inputs arrive and however small the runs, the order is that of whole inputs, record by record."""

    def order(max_records: int, pieces: tuple[int, int]) -> list[tuple[str, int, int]]:
        buffer = MergeBuffer([A, B])
        for partition, times, piece in ((A, a, pieces[0]), (B, b, pieces[1])):
            for start in range(0, len(times), piece):
                buffer.add(batch(partition, times[start : start + piece], start))
            buffer.mark_end(partition, 0)
        return drain(buffer, max_records)

    assert order(size, (cut_a, cut_b)) == order(1, (100, 100))


@given(TIMES, TIMES)
def test_nothing_is_lost_and_each_input_keeps_its_order(a: list[int], b: list[int]) -> None:
    buffer = MergeBuffer([A, B])
    for partition, times in ((A, a), (B, b)):
        if times:
            buffer.add(batch(partition, times))
        buffer.mark_end(partition, 0)
    out = drain(buffer, 100)
    assert [offset for topic, offset, _ in out if topic == "a"] == list(range(len(a)))
    assert [offset for topic, offset, _ in out if topic == "b"] == list(range(len(b)))
    assert len(buffer) == 0
