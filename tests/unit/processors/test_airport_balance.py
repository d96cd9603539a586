"""Where aircraft are, and what an airport has seen, flight by flight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock.testing.memory_registry import MemoryRegistry
from processors.airport_balance import BALANCES, pipeline
from producers.flights import FLIGHTS
from schemas.flights import AirportBalance, Flight
from tests.unit.operators.one_task import OneTask, Raw

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
BETWEEN = "airport-balance.by-airport.repartition"


def flight(
    origin: str, destination: str, tail_number: str | None = "N1", *, departs: bool = True, arrives: bool = True
) -> Flight:
    return Flight(
        carrier="UA",
        flight_number=1,
        tail_number=tail_number,
        origin=origin,
        destination=destination,
        scheduled_departure_at=NOON,
        scheduled_arrival_at=NOON,
        departed_at=NOON if departs else None,
        arrived_at=NOON + timedelta(hours=3) if departs and arrives else None,
        cancelled=not departs,
        distance_mi=2565,
    )


def balances(*flights: Flight) -> dict[str, tuple[int, int, int, int]]:
    """{airport: movements, arrivals, departures, aircraft on the ground} in the end."""
    registry = MemoryRegistry()
    task = OneTask(pipeline, registry)
    bound = FLIGHTS.bind(registry, auto_register=True)
    keys = [each.tail_number or "none" for each in flights]
    records = [
        Raw("flights", key, value)
        for key, value in zip(bound.encode_keys(keys), bound.encode_values(flights), strict=True)
    ]
    moved = task.feed(records).written.get(BETWEEN, [])
    written = task.feed([Raw(BETWEEN, key, value, 0, headers) for key, value, _, _, headers in moved]).written
    decoded = BALANCES.bind(registry).decode_values([value for _, value, *_ in written.get("airport-balances", [])])
    found: dict[str, tuple[int, int, int, int]] = {}
    for balance in decoded.values:
        assert isinstance(balance, AirportBalance)
        assert balance.aircraft_on_the_ground >= 0
        found[balance.airport] = (
            balance.movements,
            balance.arrivals,
            balance.departures,
            balance.aircraft_on_the_ground,
        )
    return found


def test_an_aircraft_stands_where_its_flight_ended() -> None:
    assert balances(flight("EWR", "SFO")) == {"EWR": (1, 0, 1, 0), "SFO": (1, 1, 0, 1)}


def test_its_next_flight_takes_it_off_the_ground_wherever_that_departs() -> None:
    """Its way back to New York is not in the data."""
    assert balances(flight("EWR", "SFO"), flight("JFK", "BOS")) == {
        "EWR": (1, 0, 1, 0),
        "SFO": (2, 1, 0, 0),
        "JFK": (1, 0, 1, 0),
        "BOS": (1, 1, 0, 1),
    }


def test_nobody_knows_where_it_is_after_a_flight_whose_arrival_was_not_reported() -> None:
    found = balances(flight("EWR", "SFO"), flight("EWR", "LAX", arrives=False), flight("EWR", "SFO", "N2"))
    assert found == {"EWR": (3, 0, 3, 0), "SFO": (3, 2, 0, 1)}


def test_a_cancelled_flight_moves_nothing() -> None:
    assert balances(flight("EWR", "SFO"), flight("SFO", "EWR", departs=False))["SFO"] == (1, 1, 0, 1)


def test_flights_of_an_unknown_aircraft_count_and_leave_none_on_the_ground() -> None:
    assert balances(flight("EWR", "SFO", None), flight("EWR", "SFO", None))["SFO"] == (2, 2, 0, 0)
