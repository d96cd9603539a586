"""Flights from New York in the order of their scheduled departure, keyed by tail number.

How a row becomes instants, with what stands in the file and what follows from it:

1. `time_hour` is the UTC hour of the scheduled departure, `minute` its minute; the local columns must agree with it.
2. Departure = scheduled clock time + `dep_delay`, by the origin's clocks; `dep_time` must be what they showed then.
3. Scheduled arrival = the first moment after the scheduled departure when the destination's clocks show
   `sched_arr_time`. No flight here takes a day, so no date column is needed.
4. Arrival = scheduled arrival by the destination's clocks + `arr_delay`, which settles the date; `arr_time` must be
   what they showed then. A diverted flight has no `arr_delay`: the first moment after its departure when the clocks
   showed `arr_time`.

Each pair (2 and 4) says the same twice: a row whose halves differ goes to the dead letters.
"""

from __future__ import annotations

from collections.abc import Iterator

import penstock as ps
from producers.airports import zones
from producers.fields import (
    NOT_KNOWN,
    date,
    malformed,
    minute_of_day,
    minute_of_day_or_none,
    text,
    utc_hour,
    whole,
    whole_or_none,
)
from producers.table import Row, Table
from producers.zone import DAY, Zone, moment
from schemas.flights import Flight

TABLE = Table("flights", order=("time_hour", "minute", "carrier", "flight", "origin"))
FLIGHTS = ps.Topic("flights", key=str, value=Flight, partitions=8, config={"retention.ms": "-1"})

_FASTEST_MPH = 620
"""1,000 km/h over the ground from take-off to landing: airliners cruise near 550, a strong tailwind adds little to a
whole flight. Four rows are faster, up to 703; the next ones below are at 591 and 564."""


def to_record(row: Row) -> ps.Record[str, Flight]:
    """One row as a record. A cancelled flight is a valid event without departure and arrival.

    Raises:
        ps.BadRow: `malformed`, `time_zone`, `time_hour`, `departure`, `arrival`, `skipped_hour`, `air_time` or
            `speed`; the rules
            stand in docs/reference/impossible-rows.md.
    """
    carrier, number = text(row, "carrier"), whole(row, "flight")
    origin, destination = text(row, "origin"), text(row, "dest")
    tail_number = None if row["tailnum"] == NOT_KNOWN else text(row, "tailnum")
    distance_mi, air_time_min = whole(row, "distance"), whole_or_none(row, "air_time")
    here, there = _zone(origin), _zone(destination)

    wall, scheduled = _scheduled_departure(row, here)
    departure_delay_min, arrival_delay_min = whole_or_none(row, "dep_delay"), whole_or_none(row, "arr_delay")
    departed = _departure(row, here, wall, scheduled, departure_delay_min)
    scheduled_arrival = there.first_after(scheduled, minute_of_day(row, "sched_arr_time"))
    if scheduled_arrival is None:
        raise _skipped("sched_arr_time", "dest")
    arrived = _arrival(row, there, scheduled_arrival, departed, arrival_delay_min)
    _check_air_time(air_time_min, distance_mi, departed, arrived)

    return ps.Record(
        key=tail_number or f"{carrier}-{number}-{origin}-{_date(row)}",
        value=Flight(
            carrier=carrier,
            flight_number=number,
            tail_number=tail_number,
            origin=origin,
            destination=destination,
            scheduled_departure_at=moment(scheduled),
            departed_at=None if departed is None else moment(departed),
            departure_delay_min=departure_delay_min,
            scheduled_arrival_at=moment(scheduled_arrival),
            arrived_at=None if arrived is None else moment(arrived),
            arrival_delay_min=arrival_delay_min,
            air_time_min=air_time_min,
            distance_mi=distance_mi,
            cancelled=departed is None,
        ),
    )


@ps.producer("flights", topic=FLIGHTS, convert=to_record, total=TABLE.count, fingerprint=TABLE.fingerprint)
def flights(cursor: int | None) -> Iterator[tuple[int, Row]]:
    """Flights that left New York in 2013, in the order of their scheduled departure."""
    return TABLE.rows(cursor)


def _date(row: Row) -> str:
    return f"{row['year']}-{row['month']:0>2}-{row['day']:0>2}"


def _zone(code: str) -> Zone:
    zone = zones().get(code)
    if zone is None:
        raise ps.BadRow("no time zone is known for origin or dest", reason="time_zone")
    return zone


def _scheduled_departure(row: Row, here: Zone) -> tuple[int, int]:
    """The scheduled departure as wall time and instant."""
    wall, hour = date(row) + minute_of_day(row, "sched_dep_time"), utc_hour(row)
    for instant in here.instants(wall):
        if instant - instant % 60 == hour:
            return wall, instant
    raise ps.BadRow("time_hour is not the UTC hour of sched_dep_time at origin", reason="time_hour")


def _departure(row: Row, here: Zone, wall: int, scheduled: int, delay_min: int | None) -> int | None:
    """The instant of departure; None if the flight was cancelled."""
    shown = minute_of_day_or_none(row, "dep_time")
    if shown is None and delay_min is None:
        return None
    if shown is None or delay_min is None or (wall + delay_min - shown) % DAY:
        raise ps.BadRow("dep_time is not sched_dep_time + dep_delay", reason="departure")
    if here.wall(scheduled + delay_min) == wall + delay_min:
        return scheduled + delay_min
    # The clocks changed in between: the delay was taken between two clock times.
    departed = next(iter(here.instants(wall + delay_min)), None)
    if departed is None:
        raise _skipped("dep_time", "origin")
    return departed


def _arrival(row: Row, there: Zone, scheduled: int, departed: int | None, delay_min: int | None) -> int | None:
    """The instant of arrival; None if the flight never arrived at its destination."""
    shown = minute_of_day_or_none(row, "arr_time")
    if shown is None and delay_min is None:
        return None
    if shown is None or departed is None:
        raise ps.BadRow("an arrival needs dep_time and arr_time", reason="arrival")
    if delay_min is None:
        arrived = there.first_after(departed, shown)
        if arrived is None:
            raise _skipped("arr_time", "dest")
        return arrived
    wall = there.wall(scheduled) + delay_min
    if (wall - shown) % DAY:
        raise ps.BadRow("arr_time is not sched_arr_time + arr_delay", reason="arrival")
    moments = there.instants(wall)
    if not moments:
        raise _skipped("arr_time", "dest")
    for instant in moments:
        if instant > departed:
            return instant
    raise ps.BadRow("arr_time is not after dep_time", reason="arrival")


def _skipped(column: str, place: str) -> ps.BadRow:
    return ps.BadRow(f"{column} lies in the hour that the clocks at {place} left out that day", reason="skipped_hour")


def _check_air_time(air_time_min: int | None, distance_mi: int, departed: int | None, arrived: int | None) -> None:
    if distance_mi < 1:
        raise malformed("distance", "is not positive")
    if air_time_min is None:
        return
    if departed is None or arrived is None or not 0 < air_time_min <= arrived - departed:
        raise ps.BadRow("air_time does not fit between departure and arrival", reason="air_time")
    if distance_mi * 60 > _FASTEST_MPH * air_time_min:
        raise ps.BadRow(f"distance / air_time is above {_FASTEST_MPH} mph", reason="speed")
