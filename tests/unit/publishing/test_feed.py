"""How rows are gathered from a source, with time standing still unless somebody moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from penstock.publishing.feed import Feed, PublishingLimits
from tests.unit.publishing.in_memory import ManualClock

LIMITS = PublishingLimits(commit_interval_s=0.5, max_batch_records=4)


def feed_of(
    rows: Iterable[int | None],
    *,
    clock: ManualClock | None = None,
    stopping: Callable[[], bool] = lambda: False,
    rate: float | None = None,
    rows_left: int | None = None,
) -> Feed:
    pairs = iter([None if row is None else (row, f"row {row}") for row in rows])
    return Feed(pairs, LIMITS, clock or ManualClock(), stopping=stopping, rate=rate, rows_left=rows_left)


def batches(feed: Feed, most: int = 20) -> list[list[int]]:
    found: list[list[int]] = []
    while not feed.ended and len(found) < most:
        found.append([cursor for cursor, _ in feed.batch()])
    return found


def test_a_source_is_cut_into_batches_to_its_end() -> None:
    feed = feed_of(range(10))
    assert batches(feed) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_source_that_ends_on_a_full_batch_ends_with_an_empty_one() -> None:
    assert batches(feed_of(range(4))) == [[0, 1, 2, 3], []]


def test_none_ends_a_batch_and_not_the_source() -> None:
    assert batches(feed_of([0, 1, None, None, 2, None, 3])) == [[0, 1], [], [2], [3]]


def test_a_limit_ends_the_source_without_taking_a_row_more() -> None:
    taken: list[int] = []

    def rows() -> Iterator[int]:
        for row in range(100):
            taken.append(row)
            yield row

    pairs = ((row, row) for row in rows())
    feed = Feed(pairs, LIMITS, ManualClock(), stopping=lambda: False, rate=None, rows_left=6)
    assert batches(feed) == [[0, 1, 2, 3], [4, 5]]
    assert taken == [0, 1, 2, 3, 4, 5]


def test_a_limit_that_is_used_up_ends_at_once() -> None:
    assert batches(feed_of(range(10), rows_left=0)) == [[]]


def test_a_rate_makes_batches_smaller_and_never_empty() -> None:
    assert batches(feed_of(range(4), rate=4.0)) == [[0, 1], [2, 3], []]
    assert batches(feed_of(range(2), rate=0.1)) == [[0], [1], []]
    assert batches(feed_of(range(5), rate=1e6))[0] == [0, 1, 2, 3]


def test_a_slow_source_ends_a_batch_after_the_commit_interval() -> None:
    clock = ManualClock()

    def rows() -> Iterator[tuple[int, int]]:
        for row in range(6):
            clock.now_s += 0.3
            yield row, row

    feed = Feed(rows(), LIMITS, clock, stopping=lambda: False, rate=None, rows_left=None)
    assert batches(feed) == [[0, 1, 2], [3, 4, 5], []]


def test_stop_is_heard_between_two_rows() -> None:
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 3

    feed = feed_of(range(10), stopping=stopping)
    assert [cursor for cursor, _ in feed.batch()] == [0, 1, 2]
    assert feed.batch() == []
    assert not feed.ended  # a stop is no end: what is left comes in the next run


def test_only_a_full_batch_with_more_behind_it_is_fast() -> None:
    feed = feed_of([0, 1, 2, 3, 4, None, 5])
    full, short = feed.batch(), feed.batch()
    assert feed.is_fast(full)
    assert not feed.is_fast(short)
    last = feed_of(range(4), rows_left=4)
    assert not last.is_fast(last.batch())


def test_a_generator_is_closed_and_an_iterator_without_close_left_alone() -> None:
    closed: list[bool] = []

    def rows() -> Iterator[tuple[int, int]]:
        try:
            yield 1, 1
            yield 2, 2
        finally:
            closed.append(True)

    feed = Feed(
        rows(), PublishingLimits(max_batch_records=1), ManualClock(), stopping=lambda: False, rate=None, rows_left=None
    )
    feed.batch()
    feed.close()
    assert closed == [True]
    feed_of([1]).close()
