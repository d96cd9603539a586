"""Rows of flights against instants worked out by hand. EST = UTC-5, EDT = UTC-4 (10 March to 3 November 2013)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import penstock as ps
from producers import flights
from producers.table import Row
from schemas.flights import Flight

HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)


def row(line: str, **changes: str) -> Row:
    """A row as it stands in the file, with columns changed."""
    return dict(zip(HEADER.split(","), line.split(","), strict=True)) | changes


def flight(line: str, **changes: str) -> Flight:
    """What becomes of a row."""
    return flights.to_record(row(line, **changes)).value


def utc(month: int, day: int, hour: int, minute: int, year: int = 2013) -> datetime:
    """An instant."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


# The first line of the file: 05:15 EST to Houston at 08:19 CST (UTC-6).
ORDINARY = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"


def test_an_ordinary_row_becomes_this_record() -> None:
    assert flights.to_record(row(ORDINARY)) == ps.Record(
        key="N14228",
        value=Flight(
            carrier="UA",
            flight_number=1545,
            tail_number="N14228",
            origin="EWR",
            destination="IAH",
            scheduled_departure_at=utc(1, 1, 10, 15),
            departed_at=utc(1, 1, 10, 17),
            departure_delay_min=2,
            scheduled_arrival_at=utc(1, 1, 14, 19),
            arrived_at=utc(1, 1, 14, 30),
            arrival_delay_min=11,
            air_time_min=227,
            distance_mi=1400,
            cancelled=False,
        ),
    )


@pytest.mark.parametrize(
    ("line", "departed", "scheduled_arrival", "arrived"),
    [
        pytest.param(
            "2013,1,2,2400,2359,1,432,444,-12,B6,739,N603JB,JFK,PSE,193,1617,23,59,2013-01-03T04:00:00Z",
            utc(1, 3, 5, 0),
            utc(1, 3, 8, 44),
            utc(1, 3, 8, 32),
            id="leaves at 2400, for Puerto Rico (UTC-4)",
        ),
        pytest.param(
            "2013,6,1,18,2359,19,347,339,8,B6,739,N603JB,JFK,PSE,193,1617,23,59,2013-06-02T03:00:00Z",
            utc(6, 2, 4, 18),
            utc(6, 2, 7, 39),
            utc(6, 2, 7, 47),
            id="leaves behind midnight in summer, when Puerto Rico has New York's time",
        ),
        pytest.param(
            "2013,1,1,1558,1534,24,2400,2307,53,UA,1,N1,EWR,IAH,300,1400,15,34,2013-01-01T20:00:00Z",
            utc(1, 1, 20, 58),
            utc(1, 2, 5, 7),
            utc(1, 2, 6, 0),
            id="arrives at 2400",
        ),
        pytest.param(
            "2013,1,1,857,900,-3,1516,1530,-14,HA,51,N380HA,JFK,HNL,659,4983,9,0,2013-01-01T14:00:00Z",
            utc(1, 1, 13, 57),
            utc(1, 2, 1, 30),
            utc(1, 2, 1, 16),
            id="to Hawaii (UTC-10), on the ground the same local day, the next of UTC",
        ),
        pytest.param(
            "2013,7,4,2258,2130,88,139,20,79,AA,9,N9,JFK,LAX,310,2475,21,30,2013-07-05T01:00:00Z",
            utc(7, 5, 2, 58),
            utc(7, 5, 7, 20),
            utc(7, 5, 8, 39),
            id="to Los Angeles (PDT, UTC-7), planned and arriving behind its midnight",
        ),
        pytest.param(
            "2013,7,4,2258,2130,88,30,2310,80,AA,9,N9,JFK,ORD,130,740,21,30,2013-07-05T01:00:00Z",
            utc(7, 5, 2, 58),
            utc(7, 5, 4, 10),
            utc(7, 5, 5, 30),
            id="to Chicago (CDT, UTC-5), planned before midnight and arriving behind it",
        ),
        pytest.param(
            "2013,3,10,545,540,5,845,848,-3,AA,1141,N5,JFK,MIA,150,1089,5,40,2013-03-10T09:00:00Z",
            utc(3, 10, 9, 45),
            utc(3, 10, 12, 48),
            utc(3, 10, 12, 45),
            id="on the first morning of summer time",
        ),
        pytest.param(
            "2013,3,9,2300,2300,0,338,340,-2,DL,5,N5,JFK,ATL,120,760,23,0,2013-03-10T04:00:00Z",
            utc(3, 10, 4, 0),
            utc(3, 10, 7, 40),
            utc(3, 10, 7, 38),
            id="across the night that loses an hour: 3 h 38 min by the clock above 4 h 38 min",
        ),
        pytest.param(
            "2013,11,2,2345,2340,5,145,140,5,DL,5,N5,JFK,ATL,90,760,23,40,2013-11-03T03:00:00Z",
            utc(11, 3, 3, 45),
            utc(11, 3, 5, 40),
            utc(11, 3, 5, 45),
            id="into the hour that is shown twice: the first one",
        ),
        pytest.param(
            "2013,11,2,2345,2340,5,245,240,5,DL,5,N5,JFK,ATL,90,760,23,40,2013-11-03T03:00:00Z",
            utc(11, 3, 3, 45),
            utc(11, 3, 7, 40),
            utc(11, 3, 7, 45),
            id="across the night that gains an hour",
        ),
        pytest.param(
            "2013,11,2,230,2340,170,500,140,200,DL,5,N5,JFK,ATL,100,760,23,40,2013-11-03T03:00:00Z",
            utc(11, 3, 7, 30),
            utc(11, 3, 5, 40),
            utc(11, 3, 10, 0),
            id="170 minutes late by the clock, an hour more in truth",
        ),
        pytest.param(
            "2013,3,15,1300,1300,0,1300,1311,-11,XX,5,N5,JFK,PHX,280,2153,13,0,2013-03-15T17:00:00Z",
            utc(3, 15, 17, 0),
            utc(3, 15, 20, 11),
            utc(3, 15, 20, 0),
            id="Arizona (UTC-7) knows no summer time; the same clock time at both ends",
        ),
    ],
)
def test_clock_times_become_instants(
    line: str, departed: datetime, scheduled_arrival: datetime, arrived: datetime
) -> None:
    found = flight(line, air_time="NA")
    assert (found.departed_at, found.scheduled_arrival_at, found.arrived_at) == (departed, scheduled_arrival, arrived)


def test_a_cancelled_flight_is_an_event_without_departure_and_arrival() -> None:
    found = flight("2013,1,1,NA,1630,NA,NA,1815,NA,EV,4308,N18120,EWR,RDU,NA,416,16,30,2013-01-01T21:00:00Z")
    assert found.cancelled
    assert found.scheduled_departure_at == utc(1, 1, 21, 30)
    assert found.scheduled_arrival_at == utc(1, 1, 23, 15)
    assert (found.departed_at, found.departure_delay_min, found.arrived_at) == (None, None, None)


def test_a_flight_that_never_reached_its_destination_has_left_and_not_arrived() -> None:
    found = flight(ORDINARY, arr_time="NA", arr_delay="NA", air_time="NA")
    assert not found.cancelled
    assert (found.departed_at, found.arrived_at) == (utc(1, 1, 10, 17), None)


def test_a_diverted_flight_arrives_when_the_clock_next_shows_its_time() -> None:
    """It has no arrival delay: 08:25 is a moment of the next day here, for it left at 08:30 (CST)."""
    found = flight(ORDINARY, dep_time="930", dep_delay="255", arr_time="825", arr_delay="NA", air_time="NA")
    assert found.arrived_at == utc(1, 2, 14, 25)
    assert found.arrival_delay_min is None


def test_without_a_tail_number_the_key_names_the_flight() -> None:
    record = flights.to_record(row(ORDINARY, tailnum="NA"))
    assert record.key == "UA-1545-EWR-2013-01-01"
    assert record.value.tail_number is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"carrier": "NA"}, "malformed"),
        ({"flight": "15x"}, "malformed"),
        ({"flight": "1_545"}, "malformed"),
        ({"flight": "10000000000"}, "malformed"),
        ({"flight": "NA"}, "malformed"),
        ({"distance": "0"}, "malformed"),
        ({"distance": "-1400"}, "malformed"),
        ({"tailnum": ""}, "malformed"),
        ({"month": "13"}, "malformed"),
        ({"day": ""}, "malformed"),
        ({"sched_arr_time": "2401"}, "malformed"),
        ({"sched_arr_time": "860"}, "malformed"),
        ({"dep_time": "17:05"}, "malformed"),
        ({"time_hour": "2013-01-01"}, "malformed"),
        ({"dest": "XXX"}, "time_zone"),
        ({"origin": "XXX"}, "time_zone"),
        ({"time_hour": "2013-01-01T11:00:00Z"}, "time_hour"),
        ({"day": "2"}, "time_hour"),
        ({"dep_delay": "3"}, "departure"),
        ({"dep_delay": "NA"}, "departure"),
        ({"dep_time": "NA"}, "departure"),
        ({"arr_delay": "12"}, "arrival"),
        ({"arr_time": "NA"}, "arrival"),
        ({"dep_time": "NA", "dep_delay": "NA"}, "arrival"),
        # A day earlier, and so before the departure.
        ({"arr_delay": "-1429"}, "arrival"),
        ({"air_time": "254"}, "air_time"),
        ({"air_time": "0"}, "air_time"),
        ({"arr_time": "NA", "arr_delay": "NA"}, "air_time"),
        ({"air_time": "135"}, "speed"),
    ],
)
def test_an_impossible_row_is_refused_with_this_reason(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(ps.BadRow) as caught:
        flight(ORDINARY, **changes)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"air_time": "136"},  # 1,400 miles at 618 mph
        {"air_time": "253"},  # from the gate at 05:17 EST to the gate at 08:30 CST
        {"arr_delay": "1451"},  # a day late, and the clock shows the same
    ],
)
def test_what_is_barely_possible_is_published(changes: dict[str, str]) -> None:
    assert flight(ORDINARY, **changes).carrier == "UA"


NIGHT_OF_SPRING = "2013,3,9,2306,2145,81,203,34,89,B6,35,N658JB,JFK,PBI,141,1028,21,45,2013-03-10T02:00:00Z"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(NIGHT_OF_SPRING, id="arrival, by the reported delay; the one such row of the file"),
        pytest.param(NIGHT_OF_SPRING.replace(",89,", ",NA,").replace(",141,", ",NA,"), id="arrival, diverted"),
        pytest.param(NIGHT_OF_SPRING.replace(",34,89,", ",203,0,"), id="scheduled arrival"),
        pytest.param(
            "2013,3,9,203,2145,258,440,34,246,B6,35,N658JB,JFK,PBI,90,1028,21,45,2013-03-10T02:00:00Z", id="departure"
        ),
    ],
)
def test_a_time_in_the_hour_that_spring_left_out_is_refused(line: str) -> None:
    with pytest.raises(ps.BadRow) as caught:
        flight(line)
    assert caught.value.reason == "skipped_hour"


def test_a_line_with_a_wrong_number_of_columns_is_refused() -> None:
    with pytest.raises(ps.BadRow) as caught:
        flights.to_record({"line": "2013,1,1"})
    assert caught.value.reason == "malformed"


def test_the_verdict_names_the_column_and_not_the_value() -> None:
    """Reasons end in logs and headers, where values have no business."""
    with pytest.raises(ps.BadRow, match="column flight is not a whole number") as caught:
        flight(ORDINARY, flight="secret")
    assert "secret" not in str(caught.value)
