"""What became of each flight: flown ones with aircraft and airline, cancelled ones, impossible ones as dead letters."""

from __future__ import annotations

from datetime import UTC, datetime

import penstock as ps
from processors.airline_directory import NameAirline
from producers.flights import FLIGHTS
from producers.planes import PLANES
from schemas.flights import Flight, FlightStatus, Plane

STATUS = ps.Topic("flight-status", key=str, value=FlightStatus, partitions=8, config={"retention.ms": "-1"})
CANCELLED = ps.Topic("cancelled-flights", key=str, value=Flight, partitions=8, config={"retention.ms": "-1"})

NEVER = datetime.max.replace(tzinfo=UTC)


def is_cancelled(flight: Flight) -> bool:
    """Whether it never departed."""
    return flight.cancelled


def possible(flight: Flight) -> Flight:
    """The flight itself.

    Raises:
        ps.BadRecord: it departed without a time, or arrived before it departed.
    """
    if flight.departed_at is None or flight.departure_delay_min is None:
        raise ps.BadRecord("a flight that was not cancelled has no departure", reason="departure")
    if (flight.arrived_at or NEVER) <= flight.departed_at:
        raise ps.BadRecord("a flight arrived before it departed", reason="arrival")
    return flight


def outruns(flight: Flight, plane: Plane) -> bool:
    """Whether it flew more than twice as fast as this aircraft cruises, as far as both speeds are known."""
    if plane.cruising_speed_mph is None or flight.air_time_min is None:
        return False
    return flight.distance_mi * 60 > 2 * plane.cruising_speed_mph * flight.air_time_min


def status(flight: Flight, plane: Plane | None) -> FlightStatus:
    """The flight with its aircraft, as far as the register has it.

    Raises:
        ps.BadRecord: that aircraft cannot have flown it.
    """
    departed_at, departure_delay_min = flight.departed_at, flight.departure_delay_min
    if departed_at is None or departure_delay_min is None:
        raise ps.BadRecord("a flight that was not cancelled has no departure", reason="departure")
    if plane is not None and outruns(flight, plane):
        raise ps.BadRecord("a flight was more than twice as fast as its aircraft cruises", reason="aircraft")
    made_up = None if flight.arrival_delay_min is None else departure_delay_min - flight.arrival_delay_min
    return FlightStatus(
        carrier=flight.carrier,
        flight_number=flight.flight_number,
        tail_number=flight.tail_number,
        origin=flight.origin,
        destination=flight.destination,
        scheduled_departure_at=flight.scheduled_departure_at,
        departed_at=departed_at,
        arrived_at=flight.arrived_at,
        made_up_min=made_up,
        manufacturer=None if plane is None else plane.manufacturer,
        model=None if plane is None else plane.model,
        seats=None if plane is None else plane.seats,
    )


pipeline = ps.Pipeline("flight-status", on_error="dead_letter")
planes = pipeline.table(PLANES, name="planes")
flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at)
cancelled, flown = flights.branch(is_cancelled)
cancelled.to(CANCELLED)
(
    flown.map(possible, name="possible")
    .left_join(planes, status, name="status")
    .process(NameAirline, name="airline")
    .to(STATUS)
)
