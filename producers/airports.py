"""Airports of the United States, keyed by FAA code."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import penstock as ps
from producers.fields import NOT_KNOWN, decimal, text, whole
from producers.table import Row, Table
from producers.zone import Zone
from schemas.flights import Airport, DaylightSaving

TABLE = Table("airports")
AIRPORTS = ps.Topic("airports", key=str, value=Airport, partitions=8, config={"retention.ms": "-1"})

_DAYLIGHT_SAVING = {
    "A": DaylightSaving.UNITED_STATES,
    "N": DaylightSaving.NONE,
    "U": DaylightSaving.UNKNOWN,
}
# Flights go to four airports in Puerto Rico and the Virgin Islands that the file leaves out.
_NOT_IN_FILE = ("BQN", "PSE", "SJU", "STT")


@functools.cache
def zones() -> dict[str, Zone]:
    """{FAA code: its clocks} for every airport whose time zone is known. Read from the file once per process."""
    names = dict.fromkeys(_NOT_IN_FILE, "America/Puerto_Rico") | {
        row["faa"]: row["tzone"] for _, row in TABLE.rows(None) if row.get("tzone", NOT_KNOWN) != NOT_KNOWN
    }
    by_name = {name: Zone(name) for name in set(names.values())}
    return {code: by_name[name] for code, name in names.items()}


def to_record(row: Row) -> ps.Record[str, Airport]:
    """One row as a record.

    Raises:
        ps.BadRow: `malformed`, or `place`: a position outside the United States.
    """
    airport = Airport(
        code=text(row, "faa"),
        name=text(row, "name"),
        latitude_deg=decimal(row, "lat"),
        longitude_deg=decimal(row, "lon"),
        altitude_ft=whole(row, "alt"),
        utc_offset_h=whole(row, "tz"),
        daylight_saving=_DAYLIGHT_SAVING.get(text(row, "dst"), DaylightSaving.UNKNOWN),
        time_zone=None if row["tzone"] == NOT_KNOWN else row["tzone"],
    )
    # From Samoa to Alaska; and from Maine westward over the date line to Guam.
    if not -15 <= airport.latitude_deg <= 72 or -64 < airport.longitude_deg < 144:
        raise ps.BadRow("lat and lon are outside the United States", reason="place")
    return ps.Record(key=airport.code, value=airport)


@ps.producer("airports", topic=AIRPORTS, convert=to_record, total=TABLE.count, fingerprint=TABLE.fingerprint)
def airports(cursor: int | None) -> Iterator[tuple[int, Row]]:
    """Airports of the United States."""
    return TABLE.rows(cursor)
