"""Water levels from a file."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import penstock as ps
from schemas.rivers import Level

LEVELS = ps.Topic("levels", key=str, value=Level, partitions=2)
FILE = Path(__file__).parent.parent / "levels.csv"


def to_record(row: dict[str, str]) -> ps.Record[str, Level]:
    """One row as an event."""
    if not row["level_cm"].lstrip("-").isdecimal():
        raise ps.BadRow("level_cm is not a number", reason="level")
    measured_at = datetime.fromisoformat(row["measured_at"])
    return ps.Record(
        key=row["river"], value=Level(river=row["river"], measured_at=measured_at, level_cm=int(row["level_cm"]))
    )


@ps.producer("levels", topic=LEVELS, convert=to_record)
def levels(cursor: int | None) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of the file behind the cursor; the cursor is a row's number."""
    with FILE.open() as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            if number > (cursor or 0):
                yield number, row
