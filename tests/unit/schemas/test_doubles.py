"""A double is given a float, or an int that a float holds; a Decimal is another number, wherever it stands."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from penstock.errors import UnencodableValue
from penstock.protocols import Codec
from penstock.schemas.serdes import avro
from penstock.testing.memory_registry import MemoryRegistry

INNER = {"type": "record", "name": "Inner", "fields": [{"name": "d", "type": "double"}]}


def codec_of(kind: object) -> Codec[Any]:
    schema = {
        "type": "record",
        "name": "Outer",
        "fields": [{"name": "x", "type": kind}, {"name": "s", "type": "string"}],
    }
    return avro(schema=json.dumps(schema)).bind("t", "value", MemoryRegistry(), auto_register=True)


@pytest.mark.parametrize("number", [Decimal("0.1"), Decimal(1), Decimal("Infinity"), Decimal("NaN"), True, "1.5"])
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("double", lambda number: number),
        (["null", "double"], lambda number: number),
        ({"type": "array", "items": "double"}, lambda number: [1.0, number]),
        ({"type": "map", "values": "double"}, lambda number: {"a": 1.0, "b": number}),
        (INNER, lambda number: {"d": number}),
        ({"type": "array", "items": INNER}, lambda number: [{"d": 1.0}, {"d": number}]),
        ({"type": "map", "values": {"type": "array", "items": "double"}}, lambda number: {"a": [number]}),
    ],
    ids=["field", "union", "array", "map", "record", "array of records", "map of arrays"],
)
def test_a_double_takes_no_decimal_wherever_it_stands(kind: object, place: Any, number: object) -> None:
    codec = codec_of(kind)
    good: Any = {"x": place(1.5), "s": "as it is"}

    with pytest.raises(UnencodableValue) as refusal:
        codec.encode([good, {"x": place(number), "s": ""}])

    assert refusal.value.index == 1
    assert refusal.value.field.startswith("x")
    assert codec.decode(codec.encode([good])).values == [good]


def test_whole_numbers_and_nulls_are_taken() -> None:
    codec = codec_of(["null", "double"])

    assert codec.decode(codec.encode([{"x": x, "s": ""} for x in (None, 2, -0.5)])).values == [
        {"x": x, "s": ""} for x in (None, 2.0, -0.5)
    ]
