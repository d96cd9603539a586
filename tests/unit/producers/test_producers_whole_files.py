"""Every row of the real files, converted, against what SQL computes from the same files by other ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest

import penstock as ps
from demo.expected import IDENTITY, Expected, expect
from producers import airlines, airports, flights, planes, weather
from producers.table import Row, Table, data_directory

CONVERSIONS: dict[str, tuple[Table, Callable[[Row], ps.Record[str, Any]]]] = {
    "airlines": (airlines.TABLE, airlines.to_record),
    "airports": (airports.TABLE, airports.to_record),
    "planes": (planes.TABLE, planes.to_record),
    "weather": (weather.TABLE, weather.to_record),
    "flights": (flights.TABLE, flights.to_record),
}


@pytest.fixture(scope="module")
def expected() -> dict[str, Expected]:
    """What SQL says, for all five files."""
    return {name: due for name, due in expect(data_directory()).items() if name in IDENTITY}


@pytest.mark.parametrize("name", IDENTITY)
def test_every_row_becomes_the_record_or_the_dead_letter_that_sql_says(
    name: str, expected: dict[str, Expected]
) -> None:
    table, to_record = CONVERSIONS[name]
    due = expected[name]
    by_place = {record.place: record for record in due.records.values()}
    refused: dict[int, tuple[str, Row]] = {}
    for place, row in table.rows(None):
        try:
            record = to_record(row)
        except ps.BadRow as verdict:
            refused[place] = (verdict.reason, row)
            continue
        assert (record.key, _plain(record.value)) == (by_place[place].key, by_place[place].values), row
    assert refused == {place: (letter.reason, letter.raw) for place, letter in due.dead_letters.items()}
    assert len(by_place) + len(refused) == due.rows == table.count()


def test_the_files_hold_what_the_documentation_counts(expected: dict[str, Expected]) -> None:
    """The figures of docs/reference/impossible-rows.md."""
    assert {name: due.rows for name, due in expected.items()} == {
        "airlines": 16,
        "airports": 1_458,
        "planes": 3_322,
        "weather": 26_115,
        "flights": 336_776,
    }
    reasons = {name: Counter(letter.reason for letter in due.dead_letters.values()) for name, due in expected.items()}
    assert reasons == {
        "airlines": {},
        "airports": {"place": 3},
        "planes": {},
        "weather": {"measurement": 1},
        "flights": {"speed": 4, "skipped_hour": 1},
    }
    fields = expected["flights"].fields
    columns = dict(
        zip(fields, zip(*(record.values for record in expected["flights"].records.values()), strict=True), strict=True)
    )
    assert sum(columns["cancelled"]) == 8_255
    assert columns["tail_number"].count(None) == 2_512
    assert columns["arrived_at"].count(None) == 8_713
    assert columns["arrival_delay_min"].count(None) == 9_430


def _plain(value: Any) -> tuple[Any, ...]:
    """A generated type's values as Avro holds them: timestamps in milliseconds."""
    return tuple(
        int(field.timestamp() * 1000) if isinstance(field, datetime) else field
        for field in msgspec.structs.astuple(value)
    )
