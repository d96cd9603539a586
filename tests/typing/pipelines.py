"""Type-checked only: what the fluent methods tell the type checkers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_type

import penstock as ps
from schemas.flights import Airline, Flight, Plane

FLIGHTS = ps.Topic("flights", key=str, value=Flight)
PLANES = ps.Topic("planes", key=str, value=Plane)
AIRLINES = ps.Topic("airlines", key=str, value=Airline)
DELAYS = ps.Topic("delays", key=str, value=ps.int64)

pipeline = ps.Pipeline("typed", on_error="dead_letter")
flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at)
assert_type(flights, ps.Stream[str, Flight])

delays = flights.filter(lambda flight: not flight.cancelled).map(lambda flight: flight.departure_delay_min or 0)
assert_type(delays, ps.Stream[str, int])
delays.to(DELAYS)
assert_type(flights.flat_map(lambda flight: [flight.origin, flight.destination]), ps.Stream[str, str])
assert_type(flights.tap(print), ps.Stream[str, Flight])

cancelled, flown = flights.branch(lambda flight: flight.cancelled)
assert_type(cancelled, ps.Stream[str, Flight])
assert_type(flights.branch(lambda f: f.cancelled, lambda f: f.origin == "JFK", name="ways")[2], ps.Stream[str, Flight])
assert_type(cancelled.merge(flown), ps.Stream[str, Flight])
assert_type(delays.merge(flights), ps.Stream[str, int | Flight])


def seats(flight: Flight, plane: Plane | None) -> int:
    return 0 if plane is None else plane.seats - flight.distance_mi


planes = pipeline.table(PLANES, name="planes-by-tail")
assert_type(planes, ps.Table[str, Plane])
assert_type(flights.join(planes, lambda flight, plane: (flight, plane.seats)), ps.Stream[str, tuple[Flight, int]])
assert_type(flights.left_join(planes, seats), ps.Stream[str, int])

by_carrier = flights.key_by(lambda flight: flight.carrier, name="by-carrier")
assert_type(by_carrier, ps.Stream[str, Flight])
assert_type(by_carrier.count(name="by-carrier-count"), ps.Table[str, int])
assert_type(flights.key_by(lambda f: f.distance_mi, name="by-distance", key=ps.int64), ps.Stream[int, Flight])
assert_type(delays.key_by(str, name="by-delay", value=ps.int64), ps.Stream[str, int])
assert_type(flights.repartition(4, name="wide"), ps.Stream[str, Flight])
assert_type(
    by_carrier.join(by_carrier.count(name="n"), lambda flight, n: (flight, n)), ps.Stream[str, tuple[Flight, int]]
)

airlines = pipeline.global_table(AIRLINES, name="airlines")
assert_type(airlines, ps.GlobalTable[str, Airline])
assert_type(flights.join(airlines, lambda _, airline: airline.name, on=lambda f: f.carrier), ps.Stream[str, str])
assert_type(
    flights.left_join(airlines, lambda flight, airline: (flight, airline), on=lambda flight: flight.tail_number),
    ps.Stream[str, tuple[Flight, Airline | None]],
)

assert_type(delays.count(name="count"), ps.Table[str, int])
assert_type(delays.reduce(max, name="worst", value=int), ps.Table[str, int])
assert_type(delays.aggregate(int, lambda total, delay: total + delay, name="sum"), ps.Table[str, int])
assert_type(delays.aggregate(lambda: 0.0, lambda mean, n: mean + n, name="mean", value=float), ps.Table[str, float])
delays.count(name="again").to(DELAYS)
assert_type(delays.count(name="more").to_stream(), ps.Stream[str, int])

BALANCES = ps.StoreSpec("balances", key=str, value=int)


@ps.processor(stores=[BALANCES])
def running(record: ps.Record[str, int], ctx: ps.Context) -> Iterator[ps.Record[str, float]]:
    """A function with a store."""
    balances = ctx.store(BALANCES)
    assert_type(balances, ps.Store[str, int])
    total = balances.get(record.key, 0) + record.value
    assert_type(total, int)
    balances.put(record.key, total)
    yield record.with_value(total / 100)


@ps.processor()
class Recent:
    """A class with an argument."""

    def __init__(self, age: timedelta = timedelta(days=1)) -> None:
        self.age = age

    def process(self, record: ps.Record[str, int], ctx: ps.Context) -> Iterator[ps.Record[bytes, str]]:
        """Yields under another key."""
        if ctx.now_ms() - ctx.event_time_ms < self.age / timedelta(milliseconds=1):
            yield record.with_key(b"").with_value(str(record.value))


assert_type(delays.process(running), ps.Stream[str, float])
assert_type(delays.process(Recent), ps.Stream[bytes, str])
assert_type(delays.process(Recent(timedelta(hours=1))), ps.Stream[bytes, str])
assert_type(Recent(timedelta(hours=1)).age, timedelta)

# What must not pass.
flights.to(DELAYS)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
delays.map(lambda delay: delay.origin)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
flights.key_by(lambda flight: flight.distance_mi, name="no")  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType, reportCallIssue]
flights.join(airlines, lambda _, airline: airline.name)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
flights.process(running)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
