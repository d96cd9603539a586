"""What came and went at each airport, and how many aircraft stand there.

Flights come in under their aircraft, so the first half of the pipeline knows where each of them is; the second half
counts by airport. The data has departures from New York only: an aircraft that departs there was last seen far away,
and is taken off that airport's ground then.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

import penstock as ps
from producers.flights import FLIGHTS
from schemas.flights import AirportBalance, Flight

BALANCES = ps.Topic("airport-balances", key=str, value=AirportBalance, partitions=8, config={"retention.ms": "-1"})
WHEREABOUTS = ps.StoreSpec("whereabouts", key=str, value=str)  # aircraft -> airport where its last flight ended


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What one flight changes at one airport."""

    airport: str
    arrivals: int = 0
    departures: int = 0
    aircraft: int = 0


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept for an airport."""

    movements: int = 0
    arrivals: int = 0
    departures: int = 0
    aircraft: int = 0


@ps.processor(stores=[WHEREABOUTS])
def movements(record: ps.Record[str, Flight], ctx: ps.Context) -> Iterator[ps.Record[str, Movement]]:
    """Emit what a flight that departed changes: where it was seen last, where it departed, where it arrived."""
    flight, whereabouts = record.value, ctx.store(WHEREABOUTS)
    if flight.departed_at is None:
        return
    aircraft = 0 if flight.tail_number is None else 1  # nobody knows which one it was
    seen_last = whereabouts.get(record.key)
    if aircraft and seen_last is not None:
        yield record.with_value(Movement(airport=seen_last, aircraft=-1))
        whereabouts.delete(record.key)
    yield record.with_value(Movement(airport=flight.origin, departures=1))
    if flight.arrived_at is not None:
        yield record.with_value(Movement(airport=flight.destination, arrivals=1, aircraft=aircraft))
        if aircraft:
            whereabouts.put(record.key, flight.destination)


def airport(movement: Movement) -> str:
    """Where it is."""
    return movement.airport


def add(balance: Balance, movement: Movement) -> Balance:
    """The balance with one more movement."""
    return Balance(
        movements=balance.movements + 1,
        arrivals=balance.arrivals + movement.arrivals,
        departures=balance.departures + movement.departures,
        aircraft=balance.aircraft + movement.aircraft,
    )


@ps.processor()
def airport_balance(record: ps.Record[str, Balance], _: ps.Context) -> Iterator[ps.Record[str, AirportBalance]]:
    """The balance of the airport that is the key."""
    balance = record.value
    yield record.with_value(
        AirportBalance(
            airport=record.key,
            movements=balance.movements,
            arrivals=balance.arrivals,
            departures=balance.departures,
            aircraft_on_the_ground=balance.aircraft,
        )
    )


pipeline = ps.Pipeline("airport-balance", on_error="dead_letter")
flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at)
(
    flights.process(movements)
    .key_by(airport, name="by-airport", value=ps.json(Movement))
    .aggregate(Balance, add, name="balances")
    .to_stream()
    .process(airport_balance)
    .to(BALANCES)
)
