"""What a departure inherits from its aircraft's previous arrival, and what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from processors.aircraft_rotation import Arrival, rotation
from schemas.flights import AircraftRotation, Flight

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)


def linked(previous: Arrival | None, delay_min: int = 20) -> AircraftRotation:
    flight = Flight(
        carrier="UA",
        flight_number=1,
        tail_number="N1",
        origin="EWR",
        destination="SFO",
        scheduled_departure_at=NOON,
        scheduled_arrival_at=NOON + timedelta(hours=6),
        distance_mi=2565,
    )
    return rotation(flight, "N1", NOON + timedelta(minutes=delay_min), delay_min, previous)


def arrival(hours_before: float, delay_min: int | None) -> Arrival:
    return Arrival(destination="BOS", arrived_at=NOON - timedelta(hours=hours_before), delay_min=delay_min)


@pytest.mark.parametrize(
    ("late_arrival_min", "delay_min", "inherited_min"),
    [(30, 20, 20), (10, 20, 10), (0, 20, 0), (-5, 20, 0), (30, -3, 0), (None, 20, 0)],
)
def test_a_departure_inherits_at_most_its_own_delay_and_at_most_the_arrivals(
    late_arrival_min: int | None, delay_min: int, inherited_min: int
) -> None:
    found = linked(arrival(3, late_arrival_min), delay_min)
    assert found.inherited_delay_min == inherited_min
    assert (found.previous_destination, found.previous_arrival_delay_min) == ("BOS", late_arrival_min)


@pytest.mark.parametrize(("hours", "inherited_min"), [(23.99, 20), (24, 0), (100, 0)])
def test_after_a_day_nothing_is_inherited_but_the_link_is_kept(hours: float, inherited_min: int) -> None:
    found = linked(arrival(hours, 30))
    assert found.inherited_delay_min == inherited_min
    assert found.previous_arrived_at == NOON - timedelta(hours=hours)


def test_an_aircraft_that_was_not_there_yet_is_not_linked() -> None:
    """It departed before it had arrived: one of the two tail numbers is wrong."""
    found = linked(arrival(-1, 30))
    assert (found.previous_destination, found.previous_arrived_at, found.inherited_delay_min) == (None, None, 0)


def test_the_first_departure_of_an_aircraft_inherits_nothing() -> None:
    assert linked(None).inherited_delay_min == 0
