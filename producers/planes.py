"""Aircraft from the register, keyed by tail number."""

from __future__ import annotations

from collections.abc import Iterator

import penstock as ps
from producers.fields import text, whole, whole_or_none
from producers.table import Row, Table
from schemas.flights import AircraftKind, EngineKind, Plane

TABLE = Table("planes")
PLANES = ps.Topic("planes", key=str, value=Plane, partitions=8, config={"retention.ms": "-1"})

_AIRCRAFT = {
    "Fixed wing single engine": AircraftKind.FIXED_WING_SINGLE_ENGINE,
    "Fixed wing multi engine": AircraftKind.FIXED_WING_MULTI_ENGINE,
    "Rotorcraft": AircraftKind.ROTORCRAFT,
}
_ENGINES = {
    "Reciprocating": EngineKind.RECIPROCATING,
    "4 Cycle": EngineKind.FOUR_CYCLE,
    "Turbo-fan": EngineKind.TURBO_FAN,
    "Turbo-jet": EngineKind.TURBO_JET,
    "Turbo-prop": EngineKind.TURBO_PROP,
    "Turbo-shaft": EngineKind.TURBO_SHAFT,
}


def to_record(row: Row) -> ps.Record[str, Plane]:
    """One row as a record.

    Raises:
        ps.BadRow: `malformed`, or `aircraft`: no engine, no seat, or built before the first aeroplane.
    """
    plane = Plane(
        tail_number=text(row, "tailnum"),
        built_year=whole_or_none(row, "year"),
        kind=_AIRCRAFT.get(text(row, "type"), AircraftKind.UNKNOWN),
        manufacturer=text(row, "manufacturer"),
        model=text(row, "model"),
        engines=whole(row, "engines"),
        engine=_ENGINES.get(text(row, "engine"), EngineKind.UNKNOWN),
        seats=whole(row, "seats"),
        cruising_speed_mph=whole_or_none(row, "speed"),
    )
    if plane.engines < 1 or plane.seats < 1 or (plane.built_year is not None and plane.built_year < 1903):
        raise ps.BadRow("engines and seats must be at least 1, year at least 1903", reason="aircraft")
    return ps.Record(key=plane.tail_number, value=plane)


@ps.producer("planes", topic=PLANES, convert=to_record, total=TABLE.count, fingerprint=TABLE.fingerprint)
def planes(cursor: int | None) -> Iterator[tuple[int, Row]]:
    """Aircraft from the register."""
    return TABLE.rows(cursor)
