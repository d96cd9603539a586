"""How much of a delay its aircraft brought along: each departure, linked to the aircraft's previous arrival.

The data has departures from New York only: the way back is not in it, so the previous arrival is the one at the end of
the aircraft's previous flight from there. A delay counts as inherited up to the delay of that arrival, if the arrival
was less than a day before the scheduled departure; what happened in between nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

import penstock as ps
from producers.flights import FLIGHTS
from schemas.flights import AircraftRotation, Flight

ROTATIONS = ps.Topic("aircraft-rotations", key=str, value=AircraftRotation, partitions=8, config={"retention.ms": "-1"})
MEMORY = timedelta(days=1)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when an aircraft arrived, and how late, if that is known."""

    destination: str
    arrived_at: datetime
    delay_min: int | None


LAST_ARRIVALS = ps.StoreSpec("last-arrivals", key=str, value=Arrival)


@ps.processor(stores=[LAST_ARRIVALS])
def link_to_previous_arrival(
    record: ps.Record[str, Flight], ctx: ps.Context
) -> Iterator[ps.Record[str, AircraftRotation]]:
    """Emit the departure with the aircraft's previous arrival, and remember its own."""
    flight, arrivals = record.value, ctx.store(LAST_ARRIVALS)
    if flight.departed_at is None or flight.departure_delay_min is None or flight.tail_number is None:
        return  # it never left, or nobody knows with which aircraft
    yield record.with_value(
        rotation(flight, flight.tail_number, flight.departed_at, flight.departure_delay_min, arrivals.get(record.key))
    )
    if flight.arrived_at is not None:
        arrivals.put(
            record.key,
            Arrival(destination=flight.destination, arrived_at=flight.arrived_at, delay_min=flight.arrival_delay_min),
        )


def rotation(
    flight: Flight, tail_number: str, departed_at: datetime, delay_min: int, previous: Arrival | None
) -> AircraftRotation:
    """The departure and what is known of the arrival before it. One that came later is none: a tail number is wrong."""
    if previous is not None and previous.arrived_at > departed_at:
        previous = None
    inherited_min = 0
    if previous is not None and flight.scheduled_departure_at - previous.arrived_at < MEMORY:
        inherited_min = max(0, min(delay_min, previous.delay_min or 0))
    return AircraftRotation(
        tail_number=tail_number,
        carrier=flight.carrier,
        flight_number=flight.flight_number,
        origin=flight.origin,
        scheduled_departure_at=flight.scheduled_departure_at,
        departed_at=departed_at,
        departure_delay_min=delay_min,
        previous_destination=None if previous is None else previous.destination,
        previous_arrived_at=None if previous is None else previous.arrived_at,
        previous_arrival_delay_min=None if previous is None else previous.delay_min,
        inherited_delay_min=inherited_min,
    )


pipeline = ps.Pipeline("aircraft-rotation", on_error="dead_letter")
flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at)
flights.process(link_to_previous_arrival, name="link").to(ROTATIONS)
