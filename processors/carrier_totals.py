"""How each carrier and each route did so far: flights, cancellations, mean and longest departure delay.

Flights come in under their aircraft, so they are sent to the task of their carrier, and once more to that of their
route.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

import penstock as ps
from producers.flights import FLIGHTS
from schemas.flights import CarrierTotals, Flight, RouteTotals

CARRIERS = ps.Topic("carrier-totals", key=str, value=CarrierTotals, partitions=8, config={"retention.ms": "-1"})
ROUTES = ps.Topic("route-totals", key=str, value=RouteTotals, partitions=8, config={"retention.ms": "-1"})


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept for a carrier or route; delays are of departures, in minutes, early ones negative."""

    flights: int = 0
    departed: int = 0
    total_delay_min: int = 0
    max_delay_min: int | None = None

    @property
    def cancelled(self) -> int:
        """Flights that never departed."""
        return self.flights - self.departed

    @property
    def mean_delay_min(self) -> float | None:
        """Of those that departed; None before the first."""
        return self.total_delay_min / self.departed if self.departed else None


def add(totals: Totals, flight: Flight) -> Totals:
    """The totals with one more flight."""
    delay_min = flight.departure_delay_min
    if delay_min is None:
        return msgspec.structs.replace(totals, flights=totals.flights + 1)
    return Totals(
        flights=totals.flights + 1,
        departed=totals.departed + 1,
        total_delay_min=totals.total_delay_min + delay_min,
        max_delay_min=delay_min if totals.max_delay_min is None else max(totals.max_delay_min, delay_min),
    )


def carrier(flight: Flight) -> str:
    """The airline's code."""
    return flight.carrier


def route(flight: Flight) -> str:
    """Such as `EWR-SFO`."""
    return f"{flight.origin}-{flight.destination}"


@ps.processor()
def carrier_totals(record: ps.Record[str, Totals], _: ps.Context) -> Iterator[ps.Record[str, CarrierTotals]]:
    """The totals of the carrier that is the key."""
    totals = record.value
    yield record.with_value(
        CarrierTotals(
            carrier=record.key,
            flights=totals.flights,
            cancelled=totals.cancelled,
            total_delay_min=totals.total_delay_min,
            mean_delay_min=totals.mean_delay_min,
            max_delay_min=totals.max_delay_min,
        )
    )


@ps.processor()
def route_totals(record: ps.Record[str, Totals], _: ps.Context) -> Iterator[ps.Record[str, RouteTotals]]:
    """The totals of the route that is the key."""
    totals = record.value
    origin, destination = record.key.split("-")
    yield record.with_value(
        RouteTotals(
            origin=origin,
            destination=destination,
            flights=totals.flights,
            cancelled=totals.cancelled,
            total_delay_min=totals.total_delay_min,
            mean_delay_min=totals.mean_delay_min,
            max_delay_min=totals.max_delay_min,
        )
    )


pipeline = ps.Pipeline("carrier-totals", on_error="dead_letter")
flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at)
by_carrier = flights.key_by(carrier, name="by-carrier").aggregate(Totals, add, name="totals-by-carrier")
by_carrier.to_stream().process(carrier_totals).to(CARRIERS)
by_route = flights.key_by(route, name="by-route").aggregate(Totals, add, name="totals-by-route")
by_route.to_stream().process(route_totals).to(ROUTES)
