"""A pipeline as a project writes it, by the public names, on the reference project's own types."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

import penstock as ps
from penstock.testing.memory_registry import MemoryRegistry
from schemas.flights import AircraftKind, EngineKind, Flight, Plane
from tests.unit.operators.one_task import OneTask, Raw


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    flights: int = 0
    seats: int = 0


FLIGHTS = ps.Topic("flights", key=str, value=Flight)
PLANES = ps.Topic("planes", key=str, value=Plane, config={"cleanup.policy": "compact"}, tombstones=True)
CANCELLED = ps.Topic("cancelled", key=str, value=Flight)
CAPACITY = ps.Topic("capacity", key=str, value=ps.json(Capacity))


def add(total: Capacity, seats: int) -> Capacity:
    return Capacity(flights=total.flights + 1, seats=total.seats + seats)


def build() -> ps.Pipeline:
    pipeline = ps.Pipeline("capacity", on_error="dead_letter")
    planes = pipeline.table(PLANES, name="planes-by-tail")
    flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at)
    cancelled, flown = flights.branch(lambda flight: flight.cancelled)
    cancelled.to(CANCELLED)
    flown.join(planes, lambda _, plane: plane.seats).aggregate(Capacity, add, name="capacity-by-tail").to(CAPACITY)
    return pipeline


def flight(tail: str, *, cancelled: bool = False) -> Flight:
    time = datetime(2013, 1, 1, 10, tzinfo=UTC)
    return Flight(
        carrier="UA",
        flight_number=1,
        tail_number=tail,
        origin="JFK",
        destination="LAX",
        scheduled_departure_at=time,
        scheduled_arrival_at=time,
        distance_mi=2_475,
        cancelled=cancelled,
    )


def plane(tail: str, seats: int) -> Plane:
    return Plane(
        tail_number=tail,
        kind=AircraftKind.FIXED_WING_MULTI_ENGINE,
        manufacturer="BOEING",
        model="737",
        engines=2,
        engine=EngineKind.TURBO_FAN,
        seats=seats,
    )


def test_flights_are_counted_with_the_seats_of_their_planes() -> None:
    registry = MemoryRegistry()
    flights, planes = FLIGHTS.bind(registry, auto_register=True), PLANES.bind(registry, auto_register=True)

    def flown(tail: str, *, cancelled: bool = False) -> Raw:
        (value,) = flights.encode_values([flight(tail, cancelled=cancelled)])
        return Raw("flights", tail.encode(), value, 5)

    def known(tail: str, seats: int) -> Raw:
        (value,) = planes.encode_values([plane(tail, seats)])
        return Raw("planes", tail.encode(), value, 4)

    task = OneTask(build(), registry)
    seen = task.feed(
        [known("N1", 100), flown("N1"), flown("N2"), known("N1", 120), flown("N1"), flown("N1", cancelled=True)]
    )

    capacity = [msgspec.json.decode(value or b"", type=Capacity) for _, value, *_ in seen.written["capacity"]]
    assert capacity == [Capacity(flights=1, seats=100), Capacity(flights=2, seats=220)]
    assert len(seen.written["cancelled"]) == 1
    assert (seen.records, seen.filtered, seen.dead) == (6, 1, [])
    assert task.store("planes-by-tail").get("N1") == (plane("N1", 120), 4)
