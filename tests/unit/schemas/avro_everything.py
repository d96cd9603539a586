"""One record with every type in it: as a class, as a schema, and as a Hypothesis strategy. Shared by the Avro tests."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from hypothesis import strategies as st

JsonSchema = dict[str, Any]

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)
FLOAT64 = st.floats(allow_nan=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
YEARS = (dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001 - bounds of a strategy, naive by its contract
LOCAL_MICROS = st.datetimes(*YEARS)
MICROS = LOCAL_MICROS.map(lambda moment: moment.replace(tzinfo=dt.UTC))
MILLIS = MICROS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
TIME_MILLIS = st.times().map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    """Decimals that fit exactly."""
    return st.integers(-(10**precision) + 1, 10**precision - 1).map(lambda number: Decimal(number).scaleb(-scale))


class Color(StrEnum):
    RED = "RED"
    GREEN = "GREEN"


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    a: int
    b: list[str]


class Left(msgspec.Struct, frozen=True, kw_only=True):
    v: int


class Right(msgspec.Struct, frozen=True, kw_only=True):
    v: int


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    n: None
    flag: bool
    i: int
    l: int  # noqa: E741 - Avro's long
    f: float
    d: float
    b: bytes
    s: str
    fixed: bytes
    color: Color
    at_ms: dt.datetime
    at_us: dt.datetime
    local_ms: dt.datetime
    day: dt.date
    clock_ms: dt.time
    clock_us: dt.time
    amount: Decimal
    amount_fixed: Decimal
    uuid: UUID
    uuid_fixed: UUID
    inner: Inner
    maybe: str | None
    maybe_int: int | None
    maybe_at: dt.datetime | None
    maybe_inner: Inner | None
    numbers: list[int]
    days: list[dt.date]
    flags: list[bool]
    inners: dict[str, Inner]
    one_of: int | str | Left | Right | list[float] | None

    __avro_schema__: ClassVar[str]


PRIMITIVE_FIELDS: list[JsonSchema] = [
    {"name": "flag", "type": "boolean"},
    {"name": "i", "type": "int"},
    {"name": "l", "type": "long"},
    {"name": "f", "type": "float"},
    {"name": "d", "type": "double"},
    {"name": "b", "type": "bytes"},
    {"name": "s", "type": "string"},
    {"name": "fixed", "type": {"type": "fixed", "name": "Three", "size": 3}},
]

SCHEMA: JsonSchema = {
    "type": "record",
    "name": "Everything",
    "namespace": "test",
    "fields": [
        {"name": "n", "type": "null"},
        *PRIMITIVE_FIELDS,
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["RED", "GREEN"]}},
        {"name": "at_ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "at_us", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "local_ms", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "clock_ms", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "clock_us", "type": {"type": "long", "logicalType": "time-micros"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}},
        {
            "name": "amount_fixed",
            "type": {
                "type": "fixed",
                "name": "Money",
                "size": 6,
                "logicalType": "decimal",
                "precision": 14,
                "scale": 2,
            },
        },
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "uuid_fixed", "type": {"type": "fixed", "name": "Uuid", "size": 16, "logicalType": "uuid"}},
        {
            "name": "inner",
            "type": {
                "type": "record",
                "name": "Inner",
                "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": {"type": "array", "items": "string"}}],
            },
        },
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "maybe_int", "type": ["int", "null"]},
        {"name": "maybe_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
        {"name": "maybe_inner", "type": ["null", "Inner"]},
        {"name": "numbers", "type": {"type": "array", "items": "long"}},
        {"name": "days", "type": {"type": "array", "items": {"type": "int", "logicalType": "date"}}},
        {"name": "flags", "type": {"type": "array", "items": "boolean"}},
        {"name": "inners", "type": {"type": "map", "values": "Inner"}},
        {
            "name": "one_of",
            "type": [
                "null",
                "long",
                "string",
                {"type": "record", "name": "Left", "fields": [{"name": "v", "type": "int"}]},
                {"type": "record", "name": "Right", "fields": [{"name": "v", "type": "int"}]},
                {"type": "array", "items": "double"},
            ],
        },
    ],
}
Everything.__avro_schema__ = json.dumps(SCHEMA)

INNERS = st.builds(Inner, a=INT32, b=st.lists(TEXT, max_size=3))
EVERYTHING: st.SearchStrategy[Everything] = st.builds(
    Everything,
    n=st.none(),
    flag=st.booleans(),
    i=INT32,
    l=INT64,
    f=FLOAT32,
    d=FLOAT64,
    b=st.binary(max_size=20),
    s=TEXT,
    fixed=st.binary(min_size=3, max_size=3),
    color=st.sampled_from(Color),
    at_ms=MILLIS,
    at_us=MICROS,
    local_ms=LOCAL_MICROS,
    day=st.dates(),
    clock_ms=TIME_MILLIS,
    clock_us=st.times(),
    amount=decimals(12, 3),
    amount_fixed=decimals(14, 2),
    uuid=st.uuids(),
    uuid_fixed=st.uuids(),
    inner=INNERS,
    maybe=st.none() | TEXT,
    maybe_int=st.none() | INT32,
    maybe_at=st.none() | MILLIS,
    maybe_inner=st.none() | INNERS,
    numbers=st.lists(INT64, max_size=4),
    days=st.lists(st.dates(), max_size=3),
    flags=st.lists(st.booleans(), max_size=4),
    inners=st.dictionaries(TEXT, INNERS, max_size=3),
    one_of=st.none()
    | INT64
    | TEXT
    | st.builds(Left, v=INT32)
    | st.builds(Right, v=INT32)
    | st.lists(FLOAT64, max_size=3),
)
