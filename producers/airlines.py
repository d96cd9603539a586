"""Airlines, keyed by carrier code."""

from __future__ import annotations

from collections.abc import Iterator

import penstock as ps
from producers.fields import text
from producers.table import Row, Table
from schemas.flights import Airline

TABLE = Table("airlines")
AIRLINES = ps.Topic("airlines", key=str, value=Airline, partitions=8, config={"retention.ms": "-1"})


def to_record(row: Row) -> ps.Record[str, Airline]:
    """One row as a record.

    Raises:
        ps.BadRow: `malformed`.
    """
    airline = Airline(carrier=text(row, "carrier"), name=text(row, "name"))
    return ps.Record(key=airline.carrier, value=airline)


@ps.producer("airlines", topic=AIRLINES, convert=to_record, total=TABLE.count, fingerprint=TABLE.fingerprint)
def airlines(cursor: int | None) -> Iterator[tuple[int, Row]]:
    """Airlines."""
    return TABLE.rows(cursor)
