"""What becomes of a flight: with its aircraft, without one, with one that cannot have flown it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

import penstock as ps
from processors.flight_status import possible, status
from schemas.flights import AircraftKind, EngineKind, Flight, Plane

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
FLIGHT = Flight(
    carrier="AA",
    flight_number=1,
    tail_number="N378AA",
    origin="JFK",
    destination="MIA",
    scheduled_departure_at=NOON,
    departed_at=NOON + timedelta(minutes=10),
    departure_delay_min=10,
    scheduled_arrival_at=NOON + timedelta(hours=3),
    arrived_at=NOON + timedelta(hours=2, minutes=55),
    arrival_delay_min=-5,
    air_time_min=120,
    distance_mi=400,  # at 200 miles per hour
)
PLANE = Plane(
    tail_number="N378AA",
    built_year=1963,
    kind=AircraftKind.FIXED_WING_SINGLE_ENGINE,
    manufacturer="CESSNA",
    model="172E",
    engines=1,
    engine=EngineKind.RECIPROCATING,
    seats=4,
    cruising_speed_mph=105,
)


def with_speed(cruising_speed_mph: int | None) -> Plane:
    return msgspec.structs.replace(PLANE, cruising_speed_mph=cruising_speed_mph)


def test_a_flight_has_its_aircraft_and_the_time_it_made_up() -> None:
    found = status(FLIGHT, PLANE)
    assert (found.model, found.seats, found.made_up_min) == ("172E", 4, 15)
    assert (found.departed_at, found.arrived_at) == (FLIGHT.departed_at, FLIGHT.arrived_at)


def test_a_flight_with_an_aircraft_that_nobody_knows_has_none() -> None:
    assert (status(FLIGHT, None).model, status(FLIGHT, None).seats) == (None, None)


@pytest.mark.parametrize("plane", [with_speed(100), with_speed(None), None])
def test_twice_as_fast_as_its_aircraft_cruises_is_just_possible(plane: Plane | None) -> None:
    status(FLIGHT, plane)


def test_faster_than_that_it_was_another_aircraft() -> None:
    with pytest.raises(ps.BadRecord) as refused:
        status(FLIGHT, with_speed(99))
    assert refused.value.reason == "aircraft"


def test_without_a_time_in_the_air_nobody_knows_how_fast_it_was() -> None:
    status(msgspec.structs.replace(FLIGHT, air_time_min=None), with_speed(1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"departed_at": None}, "departure"),
        ({"departure_delay_min": None}, "departure"),
        ({"arrived_at": FLIGHT.departed_at}, "arrival"),
    ],
)
def test_a_flight_that_contradicts_itself_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ps.BadRecord) as refused:
        possible(msgspec.structs.replace(FLIGHT, **changes))
    assert refused.value.reason == reason
