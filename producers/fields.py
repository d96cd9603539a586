"""Text fields of a row as numbers; "NA" is how these files write "not known".

Each raises `ps.BadRow` with reason `malformed`, naming the column and never the value.
"""

from __future__ import annotations

import functools
import math
from datetime import UTC, datetime

import penstock as ps
from producers.table import Row

NOT_KNOWN = "NA"

_MINUTE_OF_DAY = {
    text: hour * 60 + minute
    for hour in range(24)
    for minute in range(60)
    for text in (f"{hour * 100 + minute}", f"{hour * 100 + minute:04}")
} | {"2400": 1440}


def text(row: Row, column: str) -> str:
    """The text of a column that must be there."""
    value = row.get(column, "")
    if not value or value == NOT_KNOWN:
        raise malformed(column, "is missing")
    return value


def whole(row: Row, column: str) -> int:
    """A whole number that must be there."""
    number = whole_or_none(row, column)
    if number is None:
        raise malformed(column, "is missing")
    return number


def whole_or_none(row: Row, column: str) -> int | None:
    """A whole number, or None where the file says NA."""
    value = row.get(column, "")
    try:
        return None if value == NOT_KNOWN else _int(value)
    except ValueError as err:
        raise malformed(column, "is not a whole number") from err


def decimal(row: Row, column: str) -> float:
    """A finite number that must be there."""
    number = decimal_or_none(row, column)
    if number is None:
        raise malformed(column, "is missing")
    return number


def decimal_or_none(row: Row, column: str) -> float | None:
    """A finite number, or None where the file says NA."""
    value = row.get(column, "")
    if value == NOT_KNOWN:
        return None
    try:
        number = float(value)
    except ValueError as err:
        raise malformed(column, "is not a number") from err
    if not math.isfinite(number):
        raise malformed(column, "is not a finite number")
    return number


def minute_of_day(row: Row, column: str) -> int:
    """A clock time `hhmm` (`517` is 05:17) as minutes since midnight; `2400` is 1440, the end of the day."""
    minute = minute_of_day_or_none(row, column)
    if minute is None:
        raise malformed(column, "is missing")
    return minute


def minute_of_day_or_none(row: Row, column: str) -> int | None:
    """As `minute_of_day`, or None where the file says NA."""
    value = row.get(column, "")
    minute = _MINUTE_OF_DAY.get(value)
    if minute is None and value != NOT_KNOWN:
        raise malformed(column, "is not a time of day hhmm")
    return minute


def date(row: Row) -> int:
    """The date in the columns year, month and day as the wall time of its midnight (see `producers.zone`)."""
    try:
        return _midnight(row["year"], row["month"], row["day"])
    except (KeyError, ValueError) as err:
        raise malformed("year, month or day", "is not a date") from err


def utc_hour(row: Row) -> int:
    """Column `time_hour` as an instant (see `producers.zone`)."""
    try:
        return _instant(row["time_hour"])
    except (KeyError, ValueError) as err:
        raise malformed("time_hour", "is not a full hour of UTC") from err


def malformed(column: str, why: str) -> ps.BadRow:
    """The verdict on a row whose `column` cannot be read."""
    return ps.BadRow(f"column {column} {why}", reason="malformed")


# The same few texts come again and again, and a lookup costs a tenth of parsing.
@functools.lru_cache(maxsize=8192)
def _int(value: str) -> int:
    # int() alone would take "1_000", " 7" and digits of other scripts.
    digits = value[1:] if value[:1] == "-" else value
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9):
        raise ValueError("not a whole number of at most nine digits")
    return int(value)


@functools.lru_cache(maxsize=64)
def _midnight(year: str, month: str, day: str) -> int:
    return int(datetime(_int(year), _int(month), _int(day), tzinfo=UTC).timestamp()) // 60


@functools.lru_cache(maxsize=64)
def _instant(value: str) -> int:
    hour = datetime.strptime(value, "%Y-%m-%dT%H:00:00Z").replace(tzinfo=UTC)
    return int(hour.timestamp()) // 60
