"""What a log adds up to."""

from __future__ import annotations

import pytest

from penstock.embedded.registry.contents import Contents
from penstock.embedded.registry.layout import Key, KeyType, NotOurs, SchemaValue, Small
from penstock.protocols import SchemaReference


def put(contents: Contents, subject: str, version: int, schema_id: int, text: str = '"long"') -> SchemaValue:
    value = SchemaValue(subject=subject, version=version, id=schema_id, text=text)
    contents.apply(value.key, value.encode())
    return value


def numbers(contents: Contents, subject: str, *, deleted: bool = False) -> list[int]:
    return [schema.version for schema in contents.versions(subject, deleted=deleted)]


def test_a_subjects_deletion_hides_the_versions_up_to_it() -> None:
    contents = Contents()
    put(contents, "s", 1, 1)
    put(contents, "s", 2, 2)
    contents.apply(Key(KeyType.DELETE_SUBJECT, "s"), Small("s", version=2).encode())
    put(contents, "s", 3, 3)
    assert numbers(contents, "s") == [3]
    assert numbers(contents, "s", deleted=True) == [1, 2, 3]
    assert [s.version for s in contents.with_id(1)] == [1]


@pytest.mark.parametrize("tombstone", [None, b""])
def test_null_and_karapaces_empty_value_delete_for_good(tombstone: bytes | None) -> None:
    contents = Contents()
    value = put(contents, "s", 1, 5)
    contents.apply(value.key, tombstone)
    assert contents.subjects(deleted=True) == []
    assert contents.with_id(5) == []
    assert contents.highest_id == 5


def test_a_record_with_an_older_id_does_not_bring_the_ids_behind_it_back() -> None:
    """A schema that another subject has already, and a soft deletion, write old ids again."""
    contents = Contents()
    put(contents, "a", 1, 1)
    put(contents, "b", 1, 5)
    put(contents, "c", 1, 1)
    contents.apply(Key(KeyType.DELETE_SUBJECT, "a"), Small("a", version=1).encode())
    assert contents.highest_id == 5


def test_an_id_stays_while_one_version_carries_it() -> None:
    contents = Contents()
    gone = put(contents, "a", 1, 1)
    put(contents, "b", 1, 1)
    contents.apply(gone.key, None)
    assert [s.subject for s in contents.with_id(1)] == ["b"]


def test_a_value_that_makes_no_sense_changes_nothing() -> None:
    contents = Contents()
    put(contents, "s", 1, 1)
    with pytest.raises(NotOurs):
        contents.apply(Key(KeyType.SCHEMA, "s", 1), b'{"subject":"s"}')
    assert numbers(contents, "s") == [1]


def test_levels_and_modes_come_and_go() -> None:
    contents = Contents()
    contents.apply(Key(KeyType.CONFIG), Small(None, compatibility_level="NONE").encode())
    contents.apply(Key(KeyType.MODE, "s"), Small("s", mode="READONLY").encode())
    assert contents.levels == {None: "NONE"}
    assert contents.modes == {"s": "READONLY"}
    contents.apply(Key(KeyType.CONFIG), None)
    contents.apply(Key(KeyType.MODE, "s"), b"")
    assert not contents.levels
    assert not contents.modes


def test_referring_schemas_are_found_by_subject_and_version() -> None:
    contents = Contents()
    put(contents, "plane", 1, 1)
    put(contents, "plane", 2, 2)
    flight = SchemaValue(
        subject="flight", version=1, id=3, text='"Plane"', references=(SchemaReference("Plane", "plane", 1),)
    )
    contents.apply(flight.key, flight.encode())
    assert [s.id for s in contents.referring_to("plane", 1)] == [3]
    assert contents.referring_to("plane", 2) == []


def test_the_truth_about_a_key_undoes_what_a_superseded_writer_wrote() -> None:
    """Whoever replays the log with all its records, the superseded writer's included, ends where we are."""
    ours, theirs = Contents(), Contents()
    for contents in (ours, theirs):
        put(contents, "s", 1, 1)
        put(contents, "s", 2, 2)
        contents.apply(Key(KeyType.MODE, "s"), Small("s", mode="READONLY").encode())
    stray = [
        (Key(KeyType.SCHEMA, "s", 2), SchemaValue(subject="s", version=2, id=9, text='"int"').encode()),
        (Key(KeyType.SCHEMA, "new", 1), SchemaValue(subject="new", version=1, id=3, text='"int"').encode()),
        (Key(KeyType.DELETE_SUBJECT, "s"), Small("s", version=2).encode()),
        (Key(KeyType.CONFIG, "s"), Small("s", compatibility_level="NONE").encode()),
        (Key(KeyType.MODE, "s"), None),
    ]
    for key, value in stray:
        theirs.apply(key, value)
    for key, _ in stray:
        for again, value in ours.truth(key):
            theirs.apply(again, value)
    assert list(theirs.every()) == list(ours.every())
    assert (theirs.levels, theirs.modes) == (ours.levels, ours.modes)
