"""A writer's schema read as the reader's, by the rules of Avro 1.12, against Apache's library where it follows them."""

from __future__ import annotations

import io
import json
from typing import Any

import avro.io
import avro.schema
import fastavro
import pytest

from penstock.protocols import Decoded
from penstock.schemas.resolution import PROMOTIONS
from penstock.schemas.serdes import avro as avro_serde
from penstock.testing.memory_registry import MemoryRegistry


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def reread(writer: Any, value: Any, reader: Any) -> Decoded[Any]:
    """What fastavro writes with one schema, read with another."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, writer, value)
    registry = MemoryRegistry()
    schema_id = registry.register("w", json.dumps(writer)).id
    codec = avro_serde(schema=json.dumps(reader)).bind("t", "value", registry)
    return codec.decode([b"\x00" + schema_id.to_bytes(4, "big") + stream.getvalue()])


KINDS = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
VALUES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 7,
    "long": 2**40,
    "float": 1.5,
    "double": 1.1,
    "bytes": b"ab",
    "string": "ab",
}


@pytest.mark.parametrize("written", KINDS)
@pytest.mark.parametrize("read", KINDS)
def test_primitives_are_read_as_themselves_or_promoted_and_as_nothing_else(written: str, read: str) -> None:
    writer, reader = record(field("x", written)), record(field("x", read))

    decoded = reread(writer, {"x": VALUES[written]}, reader)

    if written != read and (written, read) not in PROMOTIONS:
        assert decoded.failures[0].reason == "unresolvable"
        return
    got: Any = decoded.values[0]
    expected = {("string", "bytes"): b"ab", ("bytes", "string"): "ab"}.get((written, read), VALUES[written])
    assert got == {"x": expected}
    assert type(got["x"]) is type(VALUES[read])
    if {written, read} != {"string", "bytes"}:  # Apache's Python library does not promote between these
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, writer, {"x": VALUES[written]})
        schemas = (avro.schema.parse(json.dumps(each)) for each in (writer, reader))
        assert avro.io.DatumReader(*schemas).read(avro.io.BinaryDecoder(io.BytesIO(stream.getvalue()))) == got


@pytest.mark.parametrize(
    ("writer", "value", "reader", "expected"),
    [
        # Fields: by name, in any order, those the reader has not are dropped.
        (
            record(field("a", "int"), field("gone", {"type": "array", "items": "string"}), field("b", "string")),
            {"a": 1, "gone": ["x"], "b": "y"},
            record(field("b", "string"), field("a", "long")),
            {"a": 1, "b": "y"},
        ),
        # Two fields that the reader has not.
        (record(field("p", "int"), field("q", "string")), {"p": 1, "q": "x"}, record(), {}),
        # Aliases of fields and of records, with and without namespace.
        (record(field("old", "int")), {"old": 1}, record(field("new", "int", aliases=["old"])), {"new": 1}),
        (
            record(field("x", "int"), name="Old", namespace="n"),
            {"x": 1},
            record(field("x", "int"), name="New", namespace="n", aliases=["Old"]),
            {"x": 1},
        ),
        (record(field("x", "int"), namespace="a"), {"x": 1}, record(field("x", "int"), namespace="b"), {"x": 1}),
        # A field of that very name wins over the alias.
        (
            record(field("old", "int"), field("new", "int")),
            {"old": 1, "new": 2},
            record(field("new", "int", aliases=["old"])),
            {"new": 2},
        ),
        # Enums: by symbol, not by index; the reader's default for what it does not know.
        (enum("A", "B"), "B", enum("B", "A"), "B"),
        (enum("A", "B"), "B", enum("A", default="A"), "A"),
        # Unions, on either side and both.
        (["null", "int"], 3, "long", 3),
        ("int", 3, ["null", "double", "long"], 3.0),
        ("int", 3, ["null", "double", "int"], 3),
        (["null", "int", "string"], "x", ["string", "null", "long"], "x"),
        (["null", "boolean"], True, ["boolean", "null"], True),
        (["int", "null", "boolean"], False, ["null", "boolean", "int"], False),
        # Through collections.
        ({"type": "array", "items": "int"}, [1, 2], {"type": "array", "items": "double"}, [1.0, 2.0]),
        ({"type": "map", "values": "string"}, {"k": "v"}, {"type": "map", "values": "bytes"}, {"k": b"v"}),
        (
            record(field("n", record(field("x", "int"), name="N"))),
            {"n": {"x": 1}},
            record(field("n", record(field("x", "long"), field("y", "string", default="d"), name="N"))),
            {"n": {"x": 1, "y": "d"}},
        ),
    ],
)
def test_a_writers_value_is_what_the_reader_expects(writer: Any, value: Any, reader: Any, expected: Any) -> None:
    decoded = reread(writer, value, reader)
    assert decoded.failures == {}
    assert decoded.values == [expected]
    assert type(decoded.values[0]) is type(expected)


@pytest.mark.parametrize(
    ("writer", "value", "reader", "reason"),
    [
        (record(), {}, record(field("x", "int")), "unresolvable"),
        (record(name="A"), {}, record(name="B"), "unresolvable"),
        (enum("A", "B"), "B", enum("A"), "enum_symbol"),
        (["null", "int"], None, "int", "unresolvable"),
        (["null", "string"], "x", ["null", "int"], "unresolvable"),
        ({"type": "fixed", "name": "F", "size": 1}, b"x", {"type": "fixed", "name": "F", "size": 2}, "unresolvable"),
        ("string", "x", {"type": "array", "items": "string"}, "unresolvable"),
    ],
)
def test_what_the_reader_cannot_read_is_undecodable(writer: Any, value: Any, reader: Any, reason: str) -> None:
    assert reread(writer, value, reader).failures[0].reason == reason


def test_a_recursive_reader_fills_defaults_at_every_level() -> None:
    writer = record(field("next", ["null", "R"]))
    reader = record(field("next", ["null", "R"]), field("level", "int", default=1))
    assert reread(writer, {"next": {"next": None}}, reader).values == [{"next": {"next": None, "level": 1}, "level": 1}]
