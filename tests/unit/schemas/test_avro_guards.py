"""The nine guards around fastavro, one by one: each case here is one that fastavro alone gets wrong."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from penstock.errors import ConfigurationError, UndecodableRecord, UnencodableValue
from penstock.protocols import Codec, Decoded
from penstock.schemas.serdes import avro
from penstock.testing.memory_registry import MemoryRegistry


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def codec(schema: Any, registry: MemoryRegistry | None = None) -> Codec[Any]:
    return avro(schema=json.dumps(schema)).bind("t", "value", registry or MemoryRegistry(), auto_register=True)


def decode(writer: Any, body: bytes, reader: Any | None = None) -> Decoded[Any]:
    """Decode a datum written with one schema, and read with another where given."""
    registry = MemoryRegistry()
    schema_id = registry.register("w", json.dumps(writer)).id
    return codec(writer if reader is None else reader, registry).decode([frame(schema_id) + body])


def frame(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big")


def failure(decoded: Decoded[Any]) -> UndecodableRecord:
    assert decoded.values == [None]
    return decoded.failures[0]


# ---------------------------------------------------------------- 1: both parsers, see test_parse.py


def test_1_a_schema_that_only_one_parser_takes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two fields of this name"):
        codec(record(field("a", "int"), field("a", "int")))


# ---------------------------------------------------------------- 2: values are checked before they are written


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**31),
        ("int", True),
        ("int", 1.7),
        ("int", 1.0),
        ("long", 2**63),
        ("boolean", "x"),
        ("boolean", 1),
        ("float", 1e300),
        ("double", 2**53 + 1),
        ("string", b"x"),
        ("string", "\ud800"),
        ("bytes", "abcd"),
        ({"type": "array", "items": "string"}, "abc"),
        ({"type": "map", "values": "int"}, {1: 1}),
        ({"type": "fixed", "name": "F", "size": 2}, b"x"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B"),
        (["null", "int"], 2**31),
        (["int", "string"], 1.5),
        ({"type": "int", "logicalType": "date"}, dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        ({"type": "long", "logicalType": "timestamp-millis"}, dt.datetime(2020, 1, 1)),  # noqa: DTZ001 - the point
        ({"type": "long", "logicalType": "timestamp-millis"}, dt.datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC)),
        ({"type": "long", "logicalType": "timestamp-millis"}, 5),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, Decimal("1.234")),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, Decimal("123.45")),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, Decimal("1E+5")),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, Decimal("1E+999999")),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, Decimal("NaN")),
        ({"type": "string", "logicalType": "uuid"}, "not a uuid"),
    ],
)
def test_2_a_wrong_value_is_refused_by_field_and_without_the_value(kind: Any, value: Any) -> None:
    with pytest.raises(UnencodableValue) as caught:
        codec(record(field("before", "int"), field("x", kind))).encode([{"before": 1, "x": value}])
    assert caught.value.field.startswith("x")
    if isinstance(value, str | bytes) and len(value) > 1:
        assert str(value) not in str(caught.value)


@pytest.mark.parametrize("value", [{"x": 1, "y": 2}, {}, {"y": 1}, [], None, "x"])
def test_2_fields_must_be_exactly_those_of_the_schema(value: Any) -> None:
    """Not even a field with a default may be left out."""
    with pytest.raises(UnencodableValue):
        codec(record(field("x", "int", default=1))).encode([value])


def test_2_the_first_value_that_does_not_fit_is_named_by_its_index() -> None:
    with pytest.raises(UnencodableValue) as caught:
        codec(record(field("x", "int"))).encode([{"x": 1}, {"x": 2}, {"x": None}, {"x": ""}])
    assert (caught.value.index, caught.value.field) == (2, "x")


def test_2_a_union_takes_the_branch_of_the_values_type() -> None:
    """Fastavro would write an instant near 1970 as a date."""
    kinds = ["null", {"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-millis"}]
    both = codec(record(field("x", kinds)))
    values = [{"x": dt.date(1970, 1, 2)}, {"x": dt.datetime(1970, 1, 1, tzinfo=dt.UTC)}, {"x": None}]
    assert both.decode(both.encode(values)).values == values


def test_2_a_union_of_float_and_double_loses_no_digit() -> None:
    both = codec(record(field("x", ["float", "double"])))
    assert both.decode(both.encode([{"x": 1.1}, {"x": 0.5}])).values == [{"x": 1.1}, {"x": 0.5}]


def test_2_records_of_a_union_are_told_apart_though_their_fields_are_the_same() -> None:
    kinds = [record(field("v", "int"), name="A"), record(field("v", "int"), name="B")]
    both = codec(record(field("x", kinds)))
    values = [{"x": ("B", {"v": 1})}, {"x": ("A", {"v": 2})}]
    assert both.decode(both.encode(values)).values == values


# ---------------------------------------------------------------- 3: the reader's defaults


def test_3_defaults_become_values_of_their_types() -> None:
    reader = record(
        field("b", "bytes", default="\u00ff\u0001"),
        field("d", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, default="\u0001"),
        field("t", {"type": "long", "logicalType": "timestamp-millis"}, default=0),
        field("u", {"type": "string", "logicalType": "uuid"}, default="00000000-0000-0000-0000-000000000001"),
        field("f", {"type": "fixed", "name": "F", "size": 1}, default="\u00fe"),
        field("n", record(field("inner", "int", default=7), name="N"), default={}),
        field("x", ["null", "int"], default=None),
        field("w", "double", default=1),
    )
    assert decode(record(), b"", reader).values == [
        {
            "b": b"\xff\x01",
            "d": Decimal("0.01"),
            "t": dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
            "u": UUID(int=1),
            "f": b"\xfe",
            "n": {"inner": 7},
            "x": None,
            "w": 1.0,
        }
    ]


def test_3_records_do_not_share_a_default() -> None:
    reader = record(
        field("xs", {"type": "array", "items": "int"}, default=[1]),
        field("m", {"type": "map", "values": {"type": "array", "items": "int"}}, default={"k": []}),
        field("n", record(field("ys", {"type": "array", "items": "int"}, default=[]), name="N"), default={}),
    )
    registry = MemoryRegistry()
    registry.register("w", json.dumps(record()))
    decoded: Any = codec(reader, registry).decode([frame(1), frame(1)])
    one, two = decoded.values
    one["xs"].append(2)
    one["m"]["k"].append(2)
    one["n"]["ys"].append(2)
    assert two == {"xs": [1], "m": {"k": []}, "n": {"ys": []}}


# ---------------------------------------------------------------- 4: the reader's logical types

MILLIS: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
MICROS: dict[str, Any] = {"type": "long", "logicalType": "timestamp-micros"}
SECOND = dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)


def test_4_a_logical_type_added_by_the_reader_applies_to_old_data() -> None:
    assert decode(record(field("t", "long")), b"\xd0\x0f", record(field("t", MILLIS))).values == [{"t": SECOND}]


def test_4_a_logical_type_taken_away_gives_the_number() -> None:
    assert decode(record(field("t", MILLIS)), b"\xd0\x0f", record(field("t", "long"))).values == [{"t": 1000}]


def test_4_the_writer_decides_the_unit() -> None:
    assert decode(record(field("t", MILLIS)), b"\xd0\x0f", record(field("t", MICROS))).values == [{"t": SECOND}]
    assert decode(record(field("t", MICROS)), b"\x80\x89\x7a", record(field("t", MILLIS))).values == [{"t": SECOND}]


def test_4_digits_that_the_reader_cannot_hold_are_refused() -> None:
    assert failure(decode(record(field("t", MICROS)), b"\x02", record(field("t", MILLIS)))).reason == "logical_type"
    cents = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
    units = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 0}
    assert failure(decode(cents, b"\x02\x05", units)).reason == "logical_type"
    assert decode(cents, b"\x02\x64", units).values == [Decimal(1)]


def test_4_a_moment_is_not_read_as_another_kind_of_moment() -> None:
    local = {"type": "long", "logicalType": "local-timestamp-millis"}
    assert failure(decode(MILLIS, b"\x00", local)).reason == "unresolvable"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MILLIS, b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        ({"type": "int", "logicalType": "date"}, b"\xfe\xff\xff\xff\x0f"),
        ({"type": "int", "logicalType": "time-millis"}, b"\x01"),
        ({"type": "string", "logicalType": "uuid"}, b"\x02x"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0}, b"\x02\x64"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 0}, b"\x00"),
    ],
)
def test_4_what_is_no_value_of_the_logical_type_is_undecodable(kind: Any, body: bytes) -> None:
    assert failure(decode(kind, body)).reason == "logical_type"


# ---------------------------------------------------------------- 5: recursion

TREE = record(field("next", ["null", "R"]))


def test_5_a_message_nested_20_000_deep_is_refused_and_the_process_lives() -> None:
    assert failure(decode(TREE, b"\x02" * 20_000 + b"\x00")).reason == "too_deep"


def test_5_recursive_values_within_the_limit_pass_both_ways() -> None:
    value: Any = {"next": None}
    for _ in range(50):
        value = {"next": value}
    tree = codec(TREE)
    assert tree.decode(tree.encode([value])).values == [value]


@pytest.mark.parametrize("depth", [130, 5_000])
def test_5_what_could_not_be_read_back_is_not_written(depth: int) -> None:
    value: Any = {"next": None}
    for _ in range(depth):
        value = {"next": value}
    with pytest.raises(UnencodableValue, match="deeper"):
        codec(TREE).encode([value])


def test_5_a_value_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["next"] = value
    with pytest.raises(UnencodableValue, match="contains itself"):
        codec(TREE).encode([value])


# ---------------------------------------------------------------- 6: items that take no bytes


@pytest.mark.parametrize(
    "items", ["null", {"type": "fixed", "name": "F", "size": 0}, record(field("n", "null"), name="N")]
)
def test_6_a_hundred_million_items_in_five_bytes_are_refused(items: Any) -> None:
    body = b"\x80\x84\xaf\x5f\x00"  # a block of 100,000,000, and the end
    assert failure(decode({"type": "array", "items": items}, body)).reason == "zero_width"


def test_6_a_few_items_without_bytes_are_fine() -> None:
    assert decode({"type": "array", "items": "null"}, b"\x06\x00").values == [[None, None, None]]


# ---------------------------------------------------------------- 7: all bytes, and only good ones


@pytest.mark.parametrize(
    ("schema", "body", "reason"),
    [
        ("long", b"\x02\x00", "trailing_bytes"),
        ("long", b"", "truncated"),
        ("long", b"\x80", "truncated"),
        ("long", b"\x80" * 30 + b"\x00", "varint"),
        ("long", b"\xff" * 9 + b"\x02", "varint"),
        ("int", b"\x80\x80\x80\x80\x80\x40", "int_range"),
        ("boolean", b"\x05", "boolean"),
        ("string", b"\x0aab", "truncated"),
        ("string", b"\x01", "truncated"),
        ("string", b"\x04\xff\xff", "utf8"),
        ("double", b"\x00\x00", "truncated"),
        (["null", "int"], b"\x01\x02", "union_index"),
        (["null", "int"], b"\x04\x02", "union_index"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x01", "enum_index"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x04", "enum_index"),
        ({"type": "array", "items": "int"}, b"\xfe\xff\xff\xff\x0f\x00", "truncated"),
        ({"type": "array", "items": "int"}, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00", "block_count"),
        ({"type": "map", "values": "null"}, b"\xfe\xff\xff\xff\x0f", "truncated"),
    ],
)
def test_7_damaged_bytes_are_undecodable_for_this_reason(schema: Any, body: bytes, reason: str) -> None:
    got = failure(decode(record(field("x", schema)), body))
    assert (got.reason, got.schema_id, got.index) == (reason, 1, 0)


def test_7_long_text_beyond_latin_letters_is_no_damage() -> None:
    """Its bytes make the codec look twice; they are still right."""
    both = codec(record(field("s", "string"), field("b", "bytes"), field("l", "long")))
    values = [{"s": "東京国際空港ターミナル", "b": b"\xff" * 40, "l": -(2**63)}]
    assert both.decode(both.encode(values)).values == values


# ---------------------------------------------------------------- 8: one error for everything


def test_8_neighbours_of_a_bad_record_are_decoded() -> None:
    both = codec(record(field("x", "int")))
    good = both.encode([{"x": number} for number in range(4)])
    bad = [good[0], good[1] + b"!", good[2], b"", b"\x01" + good[3][1:], good[3]]
    decoded = both.decode(bad)
    assert decoded.values == [{"x": 0}, None, {"x": 2}, None, None, {"x": 3}]
    assert {index: (e.reason, e.index) for index, e in decoded.failures.items()} == {
        1: ("trailing_bytes", 1),
        3: ("frame", 3),
        4: ("magic_byte", 4),
    }


def test_8_an_error_in_the_users_class_is_the_records_failure() -> None:
    class Picky(msgspec.Struct, frozen=True, kw_only=True):
        x: int

        def __post_init__(self) -> None:
            if self.x < 0:
                raise RuntimeError("negative")

    schema = json.dumps(record(field("x", "int")))
    registry = MemoryRegistry()
    codec(json.loads(schema), registry).encode([{"x": -1}])
    decoded = avro(Picky, schema=schema).bind("t", "value", registry).decode([frame(1) + b"\x01", frame(1) + b"\x02"])
    assert decoded.failures[0].reason == "type"
    assert decoded.values[1] == Picky(x=1)


def test_8_no_message_quotes_the_payload() -> None:
    both = codec(record(field("s", "string"), field("u", {"type": "string", "logicalType": "uuid"})))
    (good,) = both.encode([{"s": "secret", "u": UUID(int=5)}])
    for bad in (good.replace(b"secret", b"secre\xff"), good.replace(b"00000", b"secre"), good + b"secret"):
        assert "secre" not in str(both.decode([bad]).failures[0])


# ---------------------------------------------------------------- classes that do not fit


def test_a_class_that_does_not_fit_its_schema_is_refused_when_it_is_declared() -> None:
    @dataclass(frozen=True)
    class Wrong:
        x: str

    with pytest.raises(ConfigurationError, match=r"Wrong\.x: the schema wants int"):
        avro(Wrong, schema=json.dumps(record(field("x", "int"))))
    with pytest.raises(ConfigurationError, match="different fields: x, y"):
        avro(Wrong, schema=json.dumps(record(field("y", "int"))))


def test_dataclasses_may_call_a_field_otherwise() -> None:
    @dataclass(frozen=True)
    class Renamed:
        class_: int = dataclass_field(metadata={"name": "class"})

    both = avro(Renamed, schema=json.dumps(record(field("class", "int")))).bind(
        "t", "value", MemoryRegistry(), auto_register=True
    )
    assert both.decode(both.encode([Renamed(class_=3)])).values == [Renamed(class_=3)]
