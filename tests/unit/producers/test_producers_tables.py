"""Weather, planes, airports, airlines and the load generator."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

import penstock as ps
import producers
from producers import airlines, airports, load, planes, weather
from producers.table import Row
from schemas.flights import Airline, Airport, DaylightSaving, EngineKind

WEATHER_HEADER = (
    "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
)
FALL_BACK = "EWR,2013,11,3,1,51.98,39.02,61.15,310,6.904679999999999,NA,0,1009.8,10,2013-11-03T05:00:00Z"


def observation(**changes: str) -> Row:
    """A row of weather with columns changed."""
    return dict(zip(WEATHER_HEADER.split(","), FALL_BACK.split(","), strict=True)) | changes


def test_an_observation_keeps_every_digit_and_its_gaps() -> None:
    record = weather.to_record(observation())
    assert record.key == "EWR"
    assert record.value.wind_speed_mph == 6.904679999999999
    assert record.value.wind_gust_mph is None
    assert record.value.observed_at == datetime(2013, 11, 3, 5, tzinfo=UTC)


def test_the_hour_that_the_clock_shows_twice_is_two_observations() -> None:
    """Both rows say one o'clock; they are an hour apart."""
    first, second = observation(), observation(time_hour="2013-11-03T06:00:00Z")
    assert weather.to_record(second).value.observed_at == datetime(2013, 11, 3, 6, tzinfo=UTC)
    assert weather.to_record(first).value.observed_at < weather.to_record(second).value.observed_at


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"wind_speed": "1048.36058"}, "measurement"),
        ({"wind_gust": "-1"}, "measurement"),
        ({"humid": "100.01"}, "measurement"),
        ({"temp": "136"}, "measurement"),
        ({"dewp": "-131"}, "measurement"),
        ({"pressure": "849"}, "measurement"),
        ({"precip": "12.1"}, "measurement"),
        ({"visib": "-0.1"}, "measurement"),
        ({"wind_dir": "361"}, "measurement"),
        ({"time_hour": "2013-11-03T07:00:00Z"}, "time_hour"),
        ({"hour": "2"}, "time_hour"),
        ({"origin": "XXX"}, "time_hour"),
        ({"temp": "nan"}, "malformed"),
        ({"temp": "1e999"}, "malformed"),
        ({"temp": ""}, "malformed"),
        ({"precip": "NA"}, "malformed"),
        ({"wind_dir": "31O"}, "malformed"),
    ],
)
def test_an_impossible_observation_is_refused(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(ps.BadRow) as caught:
        weather.to_record(observation(**changes))
    assert caught.value.reason == reason


AIRPORT = {
    "faa": "HNL", "name": "Honolulu Intl", "lat": "21.318681", "lon": "-157.922428", "alt": "13", "tz": "-10",
    "dst": "N", "tzone": "Pacific/Honolulu",
}  # fmt: skip


def test_an_airport_is_keyed_by_its_code() -> None:
    assert airports.to_record(AIRPORT) == ps.Record(
        key="HNL",
        value=Airport(
            code="HNL",
            name="Honolulu Intl",
            latitude_deg=21.318681,
            longitude_deg=-157.922428,
            altitude_ft=13,
            utc_offset_h=-10,
            daylight_saving=DaylightSaving.NONE,
            time_zone="Pacific/Honolulu",
        ),
    )


def test_an_airport_without_time_zone_is_published() -> None:
    assert airports.to_record(AIRPORT | {"tzone": "NA"}).value.time_zone is None


@pytest.mark.parametrize(
    "changes", [{"lon": "112.457"}, {"lat": "72.27", "lon": "42.9"}, {"lat": "-15.1"}, {"lon": "143.9"}]
)
def test_an_airport_outside_the_united_states_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ps.BadRow) as caught:
        airports.to_record(AIRPORT | changes)
    assert caught.value.reason == "place"


@pytest.mark.parametrize("changes", [{"lon": "174.11"}, {"lat": "71.3"}, {"lon": "144.8", "lat": "13.5"}])
def test_alaska_and_guam_are_inside(changes: dict[str, str]) -> None:
    assert airports.to_record(AIRPORT | changes).key == "HNL"


PLANE = {
    "tailnum": "N315AT", "year": "NA", "type": "Fixed wing single engine", "manufacturer": "JOHN G HESS",
    "model": "AT-5", "engines": "1", "seats": "2", "speed": "NA", "engine": "4 Cycle",
}  # fmt: skip


def test_a_plane_is_keyed_by_its_tail_number() -> None:
    record = planes.to_record(PLANE)
    assert record.key == "N315AT"
    assert (record.value.engine, record.value.built_year) == (EngineKind.FOUR_CYCLE, None)


def test_a_kind_of_engine_that_nobody_knew_is_published_as_unknown() -> None:
    assert planes.to_record(PLANE | {"engine": "Electric"}).value.engine is EngineKind.UNKNOWN


@pytest.mark.parametrize("changes", [{"engines": "0"}, {"seats": "0"}, {"year": "0"}])
def test_a_plane_that_cannot_fly_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ps.BadRow) as caught:
        planes.to_record(PLANE | changes)
    assert caught.value.reason == "aircraft"


def test_an_airline_is_keyed_by_its_code() -> None:
    row = {"carrier": "9E", "name": "Endeavor Air Inc."}
    assert airlines.to_record(row) == ps.Record(key="9E", value=Airline(carrier="9E", name="Endeavor Air Inc."))


def test_made_up_flights_depend_on_seed_and_number_alone() -> None:
    forward = [load.to_record(7, index) for index in range(500)]
    backward = [load.to_record(7, index) for index in reversed(range(500))]
    assert forward == backward[::-1]
    assert forward != [load.to_record(8, index) for index in range(500)]


def test_made_up_flights_go_on_behind_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_SEED", "7")
    assert list(islice(load.load(99), 3)) == [(index, load.to_record(7, index)) for index in (100, 101, 102)]
    assert next(load.load(None)) == (0, load.to_record(7, 0))


def test_made_up_flights_could_be_real() -> None:
    for record in (load.to_record(7, index) for index in range(5_000)):
        flight = record.value
        assert flight.cancelled == (flight.departed_at is None) == (flight.arrived_at is None)
        assert flight.scheduled_arrival_at > flight.scheduled_departure_at
        if flight.departed_at and flight.arrived_at:
            delay_min = (flight.departed_at - flight.scheduled_departure_at).total_seconds() / 60
            assert delay_min == flight.departure_delay_min
            assert flight.arrived_at > flight.departed_at


def test_producers_use_nothing_but_the_public_door() -> None:
    """They are what a user would write: `import penstock as ps`, the generated types, the standard library."""
    for path in Path(producers.__file__ or "").parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("penstock.")], path
