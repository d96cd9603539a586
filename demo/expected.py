"""What the topics must hold, computed from the CSV files in SQL: see expected.sql and derived.sql."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import duckdb

from demo.directory import MISSING

FLIGHT = ("carrier", "flight_number", "origin", "scheduled_departure_at")
IDENTITY = {
    "airlines": ("carrier",),
    "airports": ("code",),
    "planes": ("tail_number",),
    "weather": ("origin", "observed_at"),
    "flights": FLIGHT,
}
"""{data set: fields that tell its records apart}; no two rows of a file agree in all of them."""

DERIVED = {"flight-status": FLIGHT, "cancelled-flights": FLIGHT, "aircraft-rotations": FLIGHT}
"""{output topic of a pipeline: likewise}."""

Values = tuple[Any, ...]


class ExpectedRecord(NamedTuple):
    """One record: its key, its values by the schema's fields, and the row's place in the published order."""

    key: str
    values: Values
    place: int


class ExpectedDeadLetter(NamedTuple):
    """One dead letter: why, and what it holds: of a producer the row's text, of a pipeline the record's values."""

    reason: str
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What one data set must have become.

    Attributes:
        fields: the schema's fields in order.
        records: {identity: record}.
        dead_letters: {place in the published order of the rows: dead letter}.
        brought_back: likewise those of which a redrive has made records in the end, which are among `records`.
    """

    fields: tuple[str, ...]
    records: dict[Values, ExpectedRecord]
    dead_letters: dict[int, ExpectedDeadLetter]
    brought_back: dict[int, ExpectedDeadLetter] = field(default_factory=dict[int, ExpectedDeadLetter])

    @property
    def rows(self) -> int:
        """Number of rows in the file, or of flights that have to be here."""
        return len(self.records) + len(self.dead_letters)


def expect(folder: Path) -> dict[str, Expected]:
    """{data set or output topic: what must be there} for the CSV files in `folder`."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for name in IDENTITY:
            with _csv(folder, name) as file:
                # Text only: what a number is, is decided in the views.
                database.execute(
                    f"CREATE TABLE {name}_raw AS "  # noqa: S608 - a name from the table above
                    "SELECT row_number() OVER () - 1 AS line, * FROM read_csv(?, all_varchar = true, header = true)",
                    [str(file)],
                )
            database.execute(
                f"CREATE VIEW {name}_file AS "  # noqa: S608
                f"SELECT line, nullif(COLUMNS(* EXCLUDE (line)), 'NA') FROM {name}_raw"
            )
        database.execute((Path(__file__).parent / "expected.sql").read_text())
        data_sets = {name: _expected(database, name) for name in IDENTITY}
        database.execute((Path(__file__).parent / "derived.sql").read_text())
        return data_sets | {name: _derived(database, name, data_sets["flights"]) for name in DERIVED}


def _records(
    database: duckdb.DuckDBPyConnection, table: str, identified_by: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[Values, ExpectedRecord]]:
    """The schema's fields, and the records by identity."""
    result = database.execute(f"SELECT * EXCLUDE (line, reason) FROM {table} WHERE reason IS NULL")  # noqa: S608
    fields = tuple(column[0] for column in result.description or ())[2:]
    identity = [fields.index(field) for field in identified_by]
    records: dict[Values, ExpectedRecord] = {}
    while rows := result.fetchmany(50_000):
        for place, key, *values in rows:
            records[tuple([values[field] for field in identity])] = ExpectedRecord(key, tuple(values), place)
    return fields, records


def _expected(database: duckdb.DuckDBPyConnection, name: str) -> Expected:
    database.execute(f"CREATE TABLE {name}_rows AS FROM {name}")
    fields, records = _records(database, f"{name}_rows", IDENTITY[name])
    impossible = database.execute(
        f"SELECT place, reason, raw FROM {name}_rows JOIN (FROM {name}_raw) AS raw USING (line) "  # noqa: S608
        "WHERE reason IS NOT NULL ORDER BY place"
    ).fetchall()
    dead_letters = {
        place: ExpectedDeadLetter(reason, {column: text for column, text in raw.items() if column != "line"})
        for place, reason, raw in impossible
    }
    return Expected(fields, records, dead_letters)


def _derived(database: duckdb.DuckDBPyConnection, name: str, flights: Expected) -> Expected:
    """What becomes of the flights in an output topic, and the flights that are dead letters on their way there."""
    view = name.replace("-", "_")
    fields, records = _records(database, view, DERIVED[name])
    impossible = dict(database.execute(f"SELECT place, reason FROM {view} WHERE reason IS NOT NULL").fetchall())  # noqa: S608
    dead_letters = {
        due.place: ExpectedDeadLetter(impossible[due.place], dict(zip(flights.fields, due.values, strict=True)))
        for due in flights.records.values()
        if due.place in impossible
    }
    return Expected(fields, records, dead_letters, _brought_back(name, records, flights))


def _brought_back(name: str, records: dict[Values, ExpectedRecord], flights: Expected) -> dict[int, ExpectedDeadLetter]:
    """The flights of the airline that the directory does not know at first."""
    if name != "flight-status":
        return {}
    carrier = FLIGHT.index("carrier")
    return {
        due.place: ExpectedDeadLetter(
            "airline", dict(zip(flights.fields, flights.records[identity].values, strict=True))
        )
        for identity, due in records.items()
        if identity[carrier] == MISSING
    }


@contextmanager
def _csv(folder: Path, name: str) -> Generator[Path]:
    """The file of a data set, unpacked where it is zipped."""
    file = folder / f"{name}.csv"
    if file.is_file():
        yield file
        return
    with tempfile.TemporaryDirectory() as scratch, ZipFile(folder / f"{name}.csv.zip") as archive:
        yield Path(archive.extract(f"{name}.csv", scratch))
