"""Verdicts at each level, and the reasons told for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.schemas.compatibility import Level, cannot_read, check
from penstock.schemas.parse import AvroSchema, parse


def schema(content: Any, *references: Any) -> AvroSchema:
    return parse(json.dumps(content), [json.dumps(reference) for reference in references])


def record(*fields: tuple[str, Any] | tuple[str, Any, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [dict(zip(("name", "type", "default"), field, strict=False)) for field in fields],
        **more,
    }


A = record(("a", "int"))
WITH_DEFAULT = record(("a", "int"), ("b", "int", 0))
WITHOUT_DEFAULT = record(("a", "int"), ("b", "int"))
OTHER = record(("a", "string"))


@pytest.mark.parametrize(
    ("level", "new", "earlier", "allowed"),
    [
        (Level.BACKWARD, WITH_DEFAULT, [A], True),
        (Level.BACKWARD, WITHOUT_DEFAULT, [A], False),
        (Level.BACKWARD, A, [WITHOUT_DEFAULT], True),
        (Level.BACKWARD, WITH_DEFAULT, [OTHER, A], True),
        (Level.BACKWARD_TRANSITIVE, WITH_DEFAULT, [OTHER, A], False),
        (Level.FORWARD, WITHOUT_DEFAULT, [A], True),
        (Level.FORWARD, A, [WITHOUT_DEFAULT], False),
        (Level.FORWARD, WITHOUT_DEFAULT, [OTHER, A], True),
        (Level.FORWARD_TRANSITIVE, WITHOUT_DEFAULT, [OTHER, A], False),
        (Level.FULL, WITH_DEFAULT, [A], True),
        (Level.FULL, WITHOUT_DEFAULT, [A], False),
        (Level.FULL, A, [WITHOUT_DEFAULT], False),
        (Level.FULL, WITH_DEFAULT, [OTHER, A], True),
        (Level.FULL_TRANSITIVE, WITH_DEFAULT, [OTHER, A], False),
        (Level.NONE, OTHER, [A], True),
        (Level.FULL_TRANSITIVE, OTHER, [], True),
    ],
)
def test_each_level_looks_at_its_own_versions_in_its_own_directions(
    level: Level, new: Any, earlier: list[Any], allowed: bool
) -> None:
    found = check(level, schema(new), [(n, schema(each)) for n, each in enumerate(earlier, start=1)])
    assert (not found) is allowed


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


@pytest.mark.parametrize(
    ("reader", "writer", "reasons"),
    [
        ("long", "int", []),
        ("int", "long", [("TYPE_MISMATCH", "/")]),
        ("bytes", "string", []),
        (["null", "int"], "int", []),
        ("int", ["null", "int"], [("TYPE_MISMATCH", "/")]),
        (["null", "int"], ["null", "string"], [("MISSING_UNION_BRANCH", "/")]),
        (["null", "int"], "string", [("MISSING_UNION_BRANCH", "/")]),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "string"}, [("TYPE_MISMATCH", "/items")]),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "string"}, [("TYPE_MISMATCH", "/values")]),
        (enum("A"), enum("A", "B"), [("MISSING_ENUM_SYMBOLS", "/symbols")]),
        (enum("A", default="A"), enum("A", "B"), []),
        (fixed(1), fixed(2), [("FIXED_SIZE_MISMATCH", "/size")]),
        (fixed(1, "G"), fixed(2), [("NAME_MISMATCH", "/name"), ("FIXED_SIZE_MISMATCH", "/size")]),
        (record(name="Q"), record(name="R"), [("NAME_MISMATCH", "/name")]),
        (
            record(("a", "int"), ("b", "int"), ("c", {"type": "array", "items": enum("X")})),
            record(("c", {"type": "array", "items": enum("X", "Y")})),
            [
                ("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/0"),
                ("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/1"),
                ("MISSING_ENUM_SYMBOLS", "/fields/2/type/items/symbols"),
            ],
        ),
    ],
)
def test_each_reason_is_told_with_its_own_place(reader: Any, writer: Any, reasons: list[tuple[str, str]]) -> None:
    found = cannot_read(schema(reader), schema(writer))
    assert [(why.reason, why.location) for why in found] == reasons


def test_an_alias_relative_to_its_namespace_counts() -> None:
    """Apache's checker, left alone, compares the bare alias with the full name and says "name mismatch"."""
    old = record(name="Old", namespace="air.traffic")
    new = record(name="New", namespace="air.traffic", aliases=["Old"])
    assert not cannot_read(schema(new), schema(old))
    assert cannot_read(schema(old), schema(new))


def test_an_alias_of_a_nested_type_is_relative_to_the_enclosing_namespace() -> None:
    inner_old, inner_new = enum("A"), {**enum("A"), "name": "Renamed", "aliases": ["E"]}
    old = record(("kind", inner_old), name="Outer", namespace="air.traffic")
    new = record(("kind", inner_new), name="Outer", namespace="air.traffic")
    assert not cannot_read(schema(new), schema(old))


def test_what_a_reference_changes_counts() -> None:
    plane_v1, plane_v2 = record(("tail", "string"), name="Plane"), record(("tail", "int"), name="Plane")
    flight = record(("plane", "Plane"), name="Flight")
    (why,) = cannot_read(schema(flight, plane_v2), schema(flight, plane_v1))
    assert (why.reason, why.location) == ("TYPE_MISMATCH", "/fields/0/type/fields/0/type")


def test_a_recursive_schema_is_explained() -> None:
    def tree(*more: tuple[str, Any]) -> dict[str, Any]:
        inner = record(("back", ["null", "R"]), ("all", {"type": "array", "items": "R"}), *more, name="Inner")
        return record(("inner", inner))

    (why,) = cannot_read(schema(tree(("y", "int"))), schema(tree()))
    assert (why.reason, why.location) == ("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/0/type/fields/2")


def test_a_type_used_in_many_places_is_explained_once() -> None:
    """Twelve levels that use the next one twice lead to one wrong field by 4,096 ways."""

    def levels(innermost: str) -> dict[str, Any]:
        inner: Any = record(("x", innermost), name="T0")
        for n in range(1, 13):
            again = {"type": "array", "items": f"T{n - 1}"}
            inner = record(("a", {"type": "array", "items": inner}), ("b", again), name=f"T{n}")
        assert isinstance(inner, dict)
        return inner

    (why,) = cannot_read(schema(levels("int")), schema(levels("string")))
    assert why.reason == "TYPE_MISMATCH"


def test_the_text_says_who_reads_whom_and_what_to_upgrade_first() -> None:
    (violation,) = check(Level.FORWARD, schema(A), [(3, schema(WITHOUT_DEFAULT))])
    assert str(violation) == (
        "READER_FIELD_MISSING_DEFAULT_VALUE at /fields/1: field 'b' has no default, and the writer does not write it "
        "(version 3 reads new schema)"
    )
    assert "consumers first" in Level.BACKWARD_TRANSITIVE.upgrade_order
    assert "producers first" in Level.FORWARD.upgrade_order
    assert "any order" in Level.FULL.upgrade_order


simple = st.sampled_from(["null", "int", "long", "float", "string", "bytes"])
contents: st.SearchStrategy[Any] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda values: {"type": "map", "values": values}, inner),
        st.lists(simple, min_size=1, max_size=3, unique=True),
    ),
    max_leaves=4,
)
records = st.builds(
    lambda fields, name: record(*fields.items(), name=name),
    st.dictionaries(st.sampled_from("abcd"), contents, max_size=4),
    st.sampled_from(["R", "Q"]),
)


@settings(max_examples=150, deadline=None)
@given(reader=records | contents, writer=records | contents)
def test_there_are_reasons_exactly_when_apache_says_incompatible(reader: Any, writer: Any) -> None:
    reads, writes = schema(reader), schema(writer)
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # its constructor has no annotations
    verdict = checker.get_compatibility(reads.apache(), writes.apache())
    is_compatible = verdict.compatibility is SchemaCompatibilityType.compatible
    assert (not cannot_read(reads, writes)) is is_compatible
