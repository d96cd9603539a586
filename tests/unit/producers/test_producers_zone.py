"""Clock times against instants worked out by hand; New York is at UTC-5 in winter and UTC-4 in summer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from producers.zone import Zone, moment

NEW_YORK = Zone("America/New_York")
HONOLULU = Zone("Pacific/Honolulu")
PUERTO_RICO = Zone("America/Puerto_Rico")


def minutes(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """A wall time or an instant, which are both minutes since 1970."""
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) // 60


@pytest.mark.parametrize(
    ("zone", "instant", "wall"),
    [
        (NEW_YORK, minutes(2013, 1, 1, 10, 15), minutes(2013, 1, 1, 5, 15)),
        (NEW_YORK, minutes(2013, 7, 4, 2, 0), minutes(2013, 7, 3, 22, 0)),
        (NEW_YORK, minutes(2013, 3, 10, 6, 59), minutes(2013, 3, 10, 1, 59)),
        (NEW_YORK, minutes(2013, 3, 10, 7, 0), minutes(2013, 3, 10, 3, 0)),
        (NEW_YORK, minutes(2013, 11, 3, 5, 59), minutes(2013, 11, 3, 1, 59)),
        (NEW_YORK, minutes(2013, 11, 3, 6, 0), minutes(2013, 11, 3, 1, 0)),
        (HONOLULU, minutes(2013, 7, 4, 2, 0), minutes(2013, 7, 3, 16, 0)),
        (PUERTO_RICO, minutes(2013, 7, 4, 2, 0), minutes(2013, 7, 3, 22, 0)),
        (PUERTO_RICO, minutes(2013, 1, 4, 2, 0), minutes(2013, 1, 3, 22, 0)),
    ],
)
def test_clocks_show_the_local_time(zone: Zone, instant: int, wall: int) -> None:
    assert zone.wall(instant) == wall


def test_a_wall_time_is_one_instant_on_ordinary_days() -> None:
    assert NEW_YORK.instants(minutes(2013, 1, 1, 5, 15)) == (minutes(2013, 1, 1, 10, 15),)
    assert NEW_YORK.instants(minutes(2013, 7, 1, 5, 15)) == (minutes(2013, 7, 1, 9, 15),)


def test_the_hour_that_autumn_repeats_is_two_instants_in_order() -> None:
    twice = NEW_YORK.instants(minutes(2013, 11, 3, 1, 30))
    assert twice == (minutes(2013, 11, 3, 5, 30), minutes(2013, 11, 3, 6, 30))


def test_the_hour_that_spring_leaves_out_is_no_instant() -> None:
    assert NEW_YORK.instants(minutes(2013, 3, 10, 2, 3)) == ()


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        (minutes(2013, 11, 3, 0, 59), minutes(2013, 11, 3, 4, 59)),
        (minutes(2013, 11, 3, 2, 0), minutes(2013, 11, 3, 7, 0)),
        (minutes(2013, 3, 10, 1, 59), minutes(2013, 3, 10, 6, 59)),
        (minutes(2013, 3, 10, 3, 0), minutes(2013, 3, 10, 7, 0)),
    ],
)
def test_beside_a_change_of_clocks_a_wall_time_is_one_instant(wall: int, instant: int) -> None:
    assert NEW_YORK.instants(wall) == (instant,)


@pytest.mark.parametrize(
    ("zone", "after", "minute_of_day", "expected"),
    [
        # Later on the same day; past midnight; 2400 is the midnight that ends the day.
        (NEW_YORK, minutes(2013, 1, 1, 17, 0), 13 * 60, minutes(2013, 1, 1, 18, 0)),
        (NEW_YORK, minutes(2013, 1, 2, 4, 30), 15, minutes(2013, 1, 2, 5, 15)),
        (NEW_YORK, minutes(2013, 1, 2, 4, 30), 1440, minutes(2013, 1, 2, 5, 0)),
        # The very moment of departure is not after it.
        (NEW_YORK, minutes(2013, 1, 1, 17, 0), 12 * 60, minutes(2013, 1, 2, 17, 0)),
        # From New York at 09:00 (14:00 UTC) to Honolulu at 14:40 the same day: 10 h 40 min, not 5 h 40.
        (HONOLULU, minutes(2013, 1, 1, 14, 0), 14 * 60 + 40, minutes(2013, 1, 2, 0, 40)),
        # Autumn's repeated 01:30: before both, between them, behind both.
        (NEW_YORK, minutes(2013, 11, 3, 4, 0), 90, minutes(2013, 11, 3, 5, 30)),
        (NEW_YORK, minutes(2013, 11, 3, 5, 45), 90, minutes(2013, 11, 3, 6, 30)),
        (NEW_YORK, minutes(2013, 11, 3, 6, 45), 90, minutes(2013, 11, 4, 6, 30)),
    ],
)
def test_the_first_moment_after(zone: Zone, after: int, minute_of_day: int, expected: int) -> None:
    assert zone.first_after(after, minute_of_day) == expected


@pytest.mark.parametrize("after", [minutes(2013, 3, 10, 3, 0), minutes(2013, 3, 10, 5, 30)])
def test_there_is_no_moment_in_the_hour_that_was_left_out(after: int) -> None:
    """From 22:00 the evening before, and from half past midnight of the day itself."""
    assert NEW_YORK.first_after(after, 2 * 60 + 3) is None


def test_after_the_left_out_hour_its_time_comes_again_the_next_day() -> None:
    assert NEW_YORK.first_after(minutes(2013, 3, 10, 8, 0), 2 * 60 + 3) == minutes(2013, 3, 11, 6, 3)


def test_a_moment_is_an_aware_datetime() -> None:
    assert moment(minutes(2013, 3, 10, 7, 0)) == datetime(2013, 3, 10, 7, 0, tzinfo=UTC)
