"""Hourly weather at the three airports of New York, keyed by airport, in the order of time.

The columns year to hour are New York's clock. On 3 November 2013 it showed one o'clock twice: those three pairs of
rows look like duplicates and are not, `time_hour` (UTC) tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import penstock as ps
from producers.airports import zones
from producers.fields import date, decimal, decimal_or_none, text, utc_hour, whole, whole_or_none
from producers.table import Row, Table
from producers.zone import moment
from schemas.flights import Weather

TABLE = Table("weather", order=("time_hour", "origin"))
WEATHER = ps.Topic("weather", key=str, value=Weather, partitions=8, config={"retention.ms": "-1"})

_STRONGEST_GUST_MPH = 253.0
"""Measured at Barrow Island in 1996, the strongest that was not a tornado's."""


def to_record(row: Row) -> ps.Record[str, Weather]:
    """One row as a record.

    Raises:
        ps.BadRow: `malformed`; `time_hour`: UTC and local columns contradict each other; `measurement`: beyond what
            has ever been measured.
    """
    weather = Weather(
        origin=text(row, "origin"),
        observed_at=moment(_observed(row)),
        temperature_f=decimal_or_none(row, "temp"),
        dew_point_f=decimal_or_none(row, "dewp"),
        humidity_percent=decimal_or_none(row, "humid"),
        wind_direction_deg=whole_or_none(row, "wind_dir"),
        wind_speed_mph=decimal_or_none(row, "wind_speed"),
        wind_gust_mph=decimal_or_none(row, "wind_gust"),
        precipitation_in=decimal(row, "precip"),
        pressure_mbar=decimal_or_none(row, "pressure"),
        visibility_mi=decimal(row, "visib"),
    )
    _check(weather)
    return ps.Record(key=weather.origin, value=weather)


@ps.producer("weather", topic=WEATHER, convert=to_record, total=TABLE.count, fingerprint=TABLE.fingerprint)
def weather(cursor: int | None) -> Iterator[tuple[int, Row]]:
    """Hourly weather at New York's airports in 2013, in the order of time."""
    return TABLE.rows(cursor)


def _observed(row: Row) -> int:
    hour, zone = utc_hour(row), zones().get(row["origin"])
    if zone is None or zone.wall(hour) != date(row) + 60 * whole(row, "hour"):
        raise ps.BadRow("time_hour is not the UTC of year, month, day and hour at origin", reason="time_hour")
    return hour


def _check(weather: Weather) -> None:
    plausible = {
        "temp": _within(weather.temperature_f, -130, 135),
        "dewp": _within(weather.dew_point_f, -130, 135),
        "humid": _within(weather.humidity_percent, 0, 100),
        "wind_dir": _within(weather.wind_direction_deg, 0, 360),
        "wind_speed": _within(weather.wind_speed_mph, 0, _STRONGEST_GUST_MPH),
        "wind_gust": _within(weather.wind_gust_mph, 0, _STRONGEST_GUST_MPH),
        "precip": _within(weather.precipitation_in, 0, 12),
        "pressure": _within(weather.pressure_mbar, 850, 1090),
        "visib": _within(weather.visibility_mi, 0, 100),
    }
    if not all(plausible.values()):
        columns = ", ".join(column for column, is_plausible in plausible.items() if not is_plausible)
        raise ps.BadRow(f"beyond anything measured on earth: {columns}", reason="measurement")


def _within(value: float | None, least: float, most: float) -> bool:
    return value is None or least <= value <= most
