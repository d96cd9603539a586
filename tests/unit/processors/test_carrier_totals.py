"""What a flight adds to the totals of its carrier and route."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce

from penstock.testing.driver import Driver
from processors.carrier_totals import CARRIERS, ROUTES, Totals, add, carrier, pipeline, route
from producers.flights import FLIGHTS
from schemas.flights import Flight

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)


def flight(delay_min: int | None) -> Flight:
    return Flight(
        carrier="UA",
        flight_number=1,
        origin="EWR",
        destination="SFO",
        scheduled_departure_at=NOON,
        scheduled_arrival_at=NOON,
        departure_delay_min=delay_min,
        cancelled=delay_min is None,
        distance_mi=2565,
    )


def totals(*delays_min: int | None) -> Totals:
    return reduce(add, map(flight, delays_min), Totals())


def test_the_mean_is_over_those_that_departed_and_early_ones_count_as_early() -> None:
    found = totals(10, None, -4, 0, None)
    assert (found.flights, found.cancelled, found.total_delay_min) == (5, 2, 6)
    assert (found.mean_delay_min, found.max_delay_min) == (2.0, 10)


def test_the_longest_delay_of_early_departures_is_the_least_early() -> None:
    assert totals(-9, -4, -7).max_delay_min == -4


def test_nothing_is_said_of_delays_before_the_first_departure() -> None:
    found = totals(None, None)
    assert (found.flights, found.cancelled, found.mean_delay_min, found.max_delay_min) == (2, 2, None, None)


def test_keys() -> None:
    assert (carrier(flight(0)), route(flight(0))) == ("UA", "EWR-SFO")


def test_each_flight_counts_once_for_its_carrier_and_its_route_whatever_dies(driver: Driver) -> None:
    run = driver.start(pipeline, workers=2)
    for number, delay_min in enumerate([10, None, -4, 0]):
        run.feed(FLIGHTS, flight(delay_min), key=f"N{number}")
    run.crash(at="commit")
    run.crash(at="send offsets", worker=1)
    run.settle()
    by_carrier, by_route = run.read(CARRIERS)[-1], run.read(ROUTES)[-1]
    assert (by_carrier.key, by_carrier.value.flights, by_carrier.value.cancelled) == ("UA", 4, 1)
    assert (by_route.key, by_route.value.flights) == ("EWR-SFO", 4)
    assert len(run.read(CARRIERS)) == len(run.read(ROUTES)) == 4
