"""The comparison of what must be with what is, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from demo.expected import DERIVED, IDENTITY, Expected, Values
from demo.observed import Observed, ObservedDeadLetter

SHOWN = 5
_IDENTITY = IDENTITY | DERIVED

Places = Mapping[tuple[int, int], int]
"""{(partition, offset) of a flight: its row's place in the published order}."""


class DataSet(msgspec.Struct, kw_only=True):
    """The verdict on one data set.

    Attributes:
        rows: in the file, or flights that have to be here.
        records: committed in the topic.
        dead_letters: committed in the dead-letter topic.
        brought_back: of these, those that have become records in the end.
        keys: whose records were found in the order of their rows.
        duplicates: records and dead letters that were there already.
        missing: rows of which there is neither record nor dead letter.
        wrong: records with another content or key than the row's, of no row at all, or out of their key's order;
            dead letters with another reason or row.
        problems: the first few of them, by coordinates.
    """

    rows: int
    records: int
    dead_letters: int
    brought_back: int = 0
    keys: int = 0
    duplicates: int = 0
    missing: int = 0
    wrong: int = 0
    problems: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether every row is there exactly once."""
        there = self.records + self.dead_letters - self.brought_back
        return not (self.duplicates or self.missing or self.wrong) and self.rows == there

    def take(self, findings: Iterable[tuple[str, str]]) -> None:
        """Count (kind, description) of what is off, and keep the first few of each kind.

        Of each, or a thousand missing rows would hide the one that is wrong.
        """
        found = list(findings)
        for kind, _ in found:
            setattr(self, kind, getattr(self, kind) + 1)
        for kind in ("duplicates", "missing", "wrong"):
            self.problems += [text for each, text in found if each == kind][:SHOWN]


def compare(name: str, expected: Expected, observed: Observed, flights: Places | None = None) -> DataSet:
    """Compare one data set's rows with what became of them.

    Args:
        name: of the data set or output topic.
        expected: what must be there.
        observed: what is there.
        flights: where they are, for the dead letters of a pipeline that read them.
    """
    result = DataSet(
        rows=expected.rows,
        records=len(observed.records),
        dead_letters=len(observed.dead_letters),
        brought_back=len(expected.brought_back),
        problems=[],
    )
    partition_of: dict[str, int] = {}
    findings = [*_records(name, expected, observed, partition_of), *_dead_letters(expected, observed, flights or {})]
    result.keys = len(partition_of)
    result.take(findings)
    return result


def _records(
    name: str, expected: Expected, observed: Observed, partition_of: dict[str, int]
) -> Iterator[tuple[str, str]]:
    """(kind, description) of everything that is off with the records; notes the partition of each key."""
    identity = [expected.fields.index(field) for field in _IDENTITY[name]]
    seen: set[Values] = set()
    last_place: dict[str, int] = {}
    for record in observed.records:
        where = f"{name}[{record.partition}]@{record.offset}"
        if record.values is None:
            yield "wrong", f"{where} cannot be decoded"
            continue
        found = tuple([record.values[field] for field in identity])
        due = expected.records.get(found)
        if due is None:
            yield "wrong", f"{where} {_shown(name, found)}: no row of the file says so"
            continue
        if found in seen:
            yield "duplicates", f"{where} {_shown(name, found)}: a duplicate"
            continue
        seen.add(found)
        if record.values != due.values:
            yield "wrong", f"{where} {_shown(name, found)}: {_difference(expected.fields, due.values, record.values)}"
        elif record.key != due.key:
            yield "wrong", f"{where} {_shown(name, found)}: key {record.key!r} instead of {due.key!r}"
        elif partition_of.setdefault(due.key, record.partition) != record.partition:
            yield "wrong", f"{where} {_shown(name, found)}: its key is in partition {partition_of[due.key]} too"
        elif last_place.get(due.key, -1) > due.place:
            yield "wrong", f"{where} {_shown(name, found)}: behind a later row of its key"
        last_place[due.key] = due.place
    for missing in expected.records.keys() - seen:
        yield "missing", f"{name}: {_shown(name, missing)}: not in the topic"


def _dead_letters(expected: Expected, observed: Observed, flights: Places) -> Iterator[tuple[str, str]]:
    """(kind, description) of everything that is off with the dead letters."""
    all_due = expected.dead_letters | expected.brought_back
    seen: set[int] = set()
    for letter in observed.dead_letters:
        where = f"dead letter [{letter.partition}]@{letter.offset} of {letter.source}"
        place = _place(letter, flights)
        due = all_due.get(place)
        if due is None:
            yield "wrong", f"{where}: that is not impossible"
        elif place in seen:
            yield "duplicates", f"{where}: a duplicate"
        elif (letter.reason, letter.raw) != (due.reason, due.raw):
            yield "wrong", f"{where}: reason {letter.reason!r} instead of {due.reason!r}, or another row"
        seen.add(place)
    for place in all_due.keys() - seen:
        yield "missing", f"row {place}: no dead letter with reason {all_due[place].reason!r}"


def _place(letter: ObservedDeadLetter, flights: Places) -> int:
    """Of the row in the published order; -1 where the letter names none."""
    number = int(letter.place) if letter.place.isdecimal() else -1
    return number if letter.source_partition is None else flights.get((letter.source_partition, number), -1)


def _shown(name: str, identity: Values) -> str:
    return " ".join(f"{field}={value}" for field, value in zip(_IDENTITY[name], identity, strict=True))


def _difference(fields: tuple[str, ...], due: Values, found: Values) -> str:
    pairs = zip(fields, due, found, strict=True)
    return ", ".join(f"{field} is {there!r} instead of {right!r}" for field, right, there in pairs if right != there)
