"""The re-keyed pipelines' results: what they must be in the end by totals.sql, and how a topic of them is judged.

A topic holds a record for each change of a key. Which flight came when depends on how tasks went on beside each other,
so records on the way are judged by their running number only: each once, in order, none left out. The last one of a key
has to be the whole truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from demo.expected import Expected
from demo.observed import Observed
from demo.verdict import DataSet

RUNNING_NUMBER = {"carrier-totals": "flights", "route-totals": "flights", "airport-balances": "movements"}
"""{output topic: the field that counts the records of a key}."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a topic must end in.

    Attributes:
        fields: the schema's fields in order.
        last: {key: values of its last record}.
        records: {key: how many it has}.
    """

    fields: tuple[str, ...]
    last: dict[str, tuple[Any, ...]]
    records: dict[str, int]


def totals(flights: Expected) -> dict[str, Totals]:
    """{output topic: what it must end in} for these flights."""
    rows = flights.records.values()
    columns = {"place": [row.place for row in rows]}
    columns |= {field: [row.values[index] for row in rows] for index, field in enumerate(flights.fields)}
    named = ", ".join(f'unnest(?) AS "{name}"' for name in columns)
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE flights_rows AS SELECT {named}", list(columns.values()))
        database.execute((Path(__file__).parent / "totals.sql").read_text())
        return {name: _totals(database, name.replace("-", "_")) for name in RUNNING_NUMBER}


def _totals(database: duckdb.DuckDBPyConnection, view: str) -> Totals:
    result = database.execute(f"FROM {view}")
    fields = tuple(column[0] for column in result.description or ())[2:]
    rows = result.fetchall()
    return Totals(fields, {key: tuple(values) for key, _, *values in rows}, {key: count for key, count, *_ in rows})


def judge(topic: str, due: Totals, observed: Observed) -> DataSet:
    """The verdict on a topic; its rows are the changes that the flights come to."""
    result = DataSet(
        rows=sum(due.records.values()),
        records=len(observed.records),
        dead_letters=len(observed.dead_letters),
        problems=[],
    )
    partition_of: dict[str, int] = {}
    result.take(_findings(topic, due, observed, partition_of))
    result.keys = len(partition_of)
    return result


def _findings(topic: str, due: Totals, observed: Observed, partition_of: dict[str, int]) -> Iterator[tuple[str, str]]:
    """(kind, description) of all that is off, in the order of the partitions; notes the partition of each key."""
    number = due.fields.index(RUNNING_NUMBER[topic])
    seen: dict[str, int] = {}
    last: dict[str, tuple[Any, ...]] = {}
    for record in observed.records:
        where = f"{topic}[{record.partition}]@{record.offset}"
        if record.values is None or record.key is None:
            yield "wrong", f"{where} cannot be decoded"
            continue
        if partition_of.setdefault(record.key, record.partition) != record.partition:
            yield "wrong", f"{where}: its key is in partition {partition_of[record.key]} too"
        found, before = record.values[number], seen.get(record.key, 0)
        if found <= before:
            yield "duplicates", f"{where}: {due.fields[number]} of {record.key} is {found} behind {before}"
        elif found > before + 1:
            yield "missing", f"{where}: {due.fields[number]} of {record.key} is {found} behind {before}"
        seen[record.key], last[record.key] = max(found, before), record.values
    for key, values in due.last.items():
        if seen.get(key, 0) < due.records[key]:
            yield "missing", f"{topic}: {key} has {seen.get(key, 0)} records instead of {due.records[key]}"
        elif last[key] != values:
            yield "wrong", f"{topic}: {key} ends in {last[key]} instead of {values}"
    yield from (("wrong", f"{topic}: {key}, which no flight has") for key in last.keys() - due.last.keys())
    # These pipelines refuse no flight.
    yield from (("wrong", f"{topic}: a dead letter of {letter.source}") for letter in observed.dead_letters)
