"""Only the end of a long topic is read, and nothing that is asked for is left out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from penstock.deadletter.dead_letter import DeadLetter
from penstock.redrive.stretch import SLACK_MS, end_offset_until, first_offset_of, first_offset_since
from tests.unit.redrive.letters import dead_letter

HOUR_MS = SLACK_MS


class Partition:
    """Letters at these offsets, each failed at the time that `failed_ms` says; None = it tells none.

    Counts what is looked at.
    """

    def __init__(self, offsets: Sequence[int], failed_ms: Callable[[int], int | None]) -> None:
        self.offsets, self._failed_ms = offsets, failed_ms
        self.looked_at = 0

    def sample(self, offset: int, most: int) -> Sequence[DeadLetter]:
        first = bisect_left(self.offsets, offset)
        found = [dead_letter(at, failed_ms=self._failed_ms(at)) for at in self.offsets[first : first + most]]
        self.looked_at += len(found)
        return found


def test_of_a_million_letters_a_few_hundred_are_looked_at_for_those_of_the_last_hours() -> None:
    """One a second: an hour is slack, and the distance from the end doubles at each look."""
    long = Partition(range(1_000_000), lambda offset: offset * 1_000)
    since_ms = 1_000_000_000 - 2 * HOUR_MS
    start = first_offset_since(0, 1_000_000, since_ms, long.sample)
    assert 1_000_000 - 40_000 < start <= since_ms // 1_000
    assert long.looked_at <= 600


def test_of_a_million_letters_a_few_hundred_are_looked_at_for_those_of_the_first_hours() -> None:
    long = Partition(range(1_000_000), lambda offset: offset * 1_000)
    end = end_offset_until(0, 1_000_000, 2 * HOUR_MS, long.sample)
    assert 2 * HOUR_MS // 1_000 <= end < 40_000
    assert long.looked_at <= 600


def test_letters_that_do_not_say_when_they_failed_leave_nothing_out() -> None:
    foreign = Partition(range(50_000), lambda offset: None if offset % 90 == 0 else offset)
    assert first_offset_since(0, 50_000, 10 * HOUR_MS, foreign.sample) == 0
    assert end_offset_until(0, 50_000, -10 * HOUR_MS, foreign.sample) == 50_000


@given(
    steps=st.lists(st.integers(0, HOUR_MS // 100), min_size=1, max_size=400),
    early=st.integers(0, HOUR_MS - 1),
    at=st.integers(0, 399),
)
def test_whatever_failed_since_then_is_behind_the_start_and_before_then_in_front_of_the_end(
    steps: list[int], early: int, at: int
) -> None:
    """Clocks that differ by less than the slack are allowed for: workers take turns, one of which is slow.

    Ten offsets for each letter: markers and holes.
    """
    failed_ms: dict[int, int] = {}
    now_ms = 10 * HOUR_MS
    for number, step in enumerate(steps):
        now_ms += step
        failed_ms[number * 10] = now_ms - (early if number // 120 % 2 else 0)
    moment_ms, end = failed_ms[10 * (at % len(steps))], len(steps) * 10
    made = Partition(list(failed_ms), failed_ms.get)
    start = first_offset_since(0, end, moment_ms, made.sample)
    behind = end_offset_until(0, end, moment_ms, made.sample)
    assert all(start <= offset for offset, at_ms in failed_ms.items() if at_ms >= moment_ms)
    assert all(offset < behind for offset, at_ms in failed_ms.items() if at_ms < moment_ms)


def test_letters_of_a_clock_that_is_almost_an_hour_late_hide_none_before_them() -> None:
    """The last 150 look as if they were from long ago."""
    late = Partition(
        range(0, 3_000, 10), lambda offset: 10 * HOUR_MS + offset - (HOUR_MS - 3_000 if offset >= 1_500 else 0)
    )
    since_ms = 10 * HOUR_MS + 1_000
    assert first_offset_since(0, 3_000, since_ms, late.sample) <= 1_000


@given(count=st.integers(0, 60), hole=st.integers(1, 50), most=st.integers(1, 40))
def test_so_many_are_behind_the_start_or_all(count: int, hole: int, most: int) -> None:
    made = Partition(range(0, count * hole, hole), lambda _: 1)
    start = first_offset_of(0, count * hole, most, made.sample)
    assert len([offset for offset in made.offsets if offset >= start]) >= min(most, count)


def test_for_the_newest_ten_of_a_long_partition_its_beginning_is_not_read() -> None:
    long = Partition(range(0, 200_000, 2), lambda _: 1)
    assert first_offset_of(0, 200_000, 10, long.sample) == 199_980
    assert long.looked_at == 10
