"""How rows are gathered from a source, with time standing still unless somebody moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from penstock.errors import BadRow, OperatorMustDecide
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
    return feed_on(pairs, clock=clock, stopping=stopping, rate=rate, rows_left=rows_left)


def feed_on(
    rows: Iterator[tuple[Any, Any] | None],
    *,
    limits: PublishingLimits = LIMITS,
    clock: ManualClock | None = None,
    stopping: Callable[[], bool] = lambda: False,
    rate: float | None = None,
    rows_left: int | None = None,
    cursor: Any = None,
) -> Feed:
    return Feed(
        rows,
        limits,
        clock or ManualClock(),
        stopping=stopping,
        rate=rate,
        rows_left=rows_left,
        producer="numbers",
        cursor=cursor,
    )


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
    feed = feed_on(pairs, rows_left=6)
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

    feed = feed_on(rows(), clock=clock)
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

    feed = feed_on(rows(), limits=PublishingLimits(max_batch_records=1))
    feed.batch()
    feed.close()
    assert closed == [True]
    feed_of([1]).close()


def test_what_a_source_raises_is_told_by_class_place_and_cursor_and_never_by_its_text() -> None:
    def rows() -> Iterator[tuple[int, int]]:
        yield from ((row, row) for row in range(8, 14))
        raise OSError("row 14 of secret.csv")

    feed = feed_on(rows(), cursor=7)
    assert len(feed.batch()) == 4
    with pytest.raises(OperatorMustDecide) as told:
        feed.batch()
    text = str(told.value)
    assert "producer 'numbers': OSError at test_feed.py:" in text
    assert "in rows, in its source, behind cursor 13." in text
    assert "secret" not in text
    assert isinstance(told.value.__cause__, OSError)


def test_a_source_that_fails_before_its_first_row_names_the_cursor_it_was_given() -> None:
    def rows() -> Iterator[tuple[int, int]]:
        found: dict[str, list[tuple[int, int]]] = {}
        yield from found["no such file"]

    with pytest.raises(OperatorMustDecide, match=r"KeyError .* behind cursor 7\."):
        feed_on(rows(), cursor=7).batch()


def test_our_own_errors_pass_through_a_source() -> None:
    def rows() -> Iterator[tuple[int, int]]:
        yield 1, 1
        raise BadRow("judged already", reason="judged")

    with pytest.raises(BadRow, match="judged already"):
        feed_on(rows()).batch()


@pytest.mark.parametrize("cursor", [None, 7, "AA-17", [2013, 7]])
def test_a_source_that_begins_with_the_cursor_again_is_refused(cursor: Any) -> None:
    feed = feed_on(iter([(cursor, "row"), (8, "row")]), cursor=cursor)
    with pytest.raises(OperatorMustDecide, match="yields rows strictly behind the cursor"):
        feed.batch()


def test_only_the_first_row_of_a_source_is_compared_with_the_cursor() -> None:
    feed = feed_on(iter([None, (8, "row"), (7, "row")]), cursor=7)
    assert feed.batch() == []
    assert [cursor for cursor, _ in feed.batch()] == [8, 7]
