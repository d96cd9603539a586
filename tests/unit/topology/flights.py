"""A pipeline of every kind of node, for descriptions and fingerprints. Run as a script it prints its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.dsl.pipeline import Pipeline
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.record import Record
from penstock.schemas.serdes import int64
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from schemas.flights import Airline, Flight, Plane

FLIGHTS = Topic("flights", key=str, value=Flight)
PLANES = Topic("planes", key=str, value=Plane, config={"cleanup.policy": "compact"}, tombstones=True)
AIRLINES = Topic("airlines", key=str, value=Airline, config={"retention.ms": "-1"})
BY_AIRLINE = Topic("flights-by-airline", key=str, value=int64)
COUNTS = Topic("flight.counts", key=str, value=int64)
LATE = Topic("late-flights", key=str, value=Flight)
LAST = StoreSpec("last-flight", key=str, value=Flight, version=2, upgrade=lambda _, old: old)


@processor(stores=[LAST])
def link(record: Record[str, Flight], ctx: Context) -> Iterator[Record[str, Flight]]:
    """Remembers the last flight of an aircraft."""
    ctx.store(LAST).put(record.key, record.value)
    yield record


def add_plane(flight: Flight, plane: Plane | None) -> int:
    return 0 if plane is None else plane.seats + flight.distance_mi


def add_airline(_: Flight, airline: Airline) -> str:
    return airline.name


def build() -> Pipeline:
    pipeline = Pipeline("flight-status", on_error="dead_letter")
    planes = pipeline.table(PLANES, name="planes-by-tail")
    flights = pipeline.stream(FLIGHTS, timestamp=lambda flight: flight.scheduled_departure_at, start="latest")
    late, in_time = flights.filter(lambda flight: not flight.cancelled).branch(lambda f: f.departure_delay_min or 0)
    late.process(link, on_error="fail").to(LATE)
    joined = in_time.left_join(planes, add_plane).flat_map(lambda seats: [seats]).tap(abs)
    joined.merge(late.map(lambda f: f.distance_mi)).count(name="flights-by-tail").to(COUNTS)
    named = in_time.join(
        pipeline.global_table(AIRLINES, name="airlines"), add_airline, on=lambda flight: flight.carrier
    )
    named.key_by(lambda name: name, name="by-airline", value=str).count(name="flights-by-airline").to(BY_AIRLINE)
    named.repartition(3, name="wide", value=str).tap(print)
    return pipeline


if __name__ == "__main__":
    print(build().topology().fingerprint)  # noqa: T201 - what the test reads
