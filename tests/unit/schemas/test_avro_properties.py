"""Generated schemas and values: we write what others read, read what others write, and coerce nothing."""

from __future__ import annotations

import io
import json
import math
import struct
from decimal import Decimal
from typing import Any

import avro.io
import avro.schema
import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import UnencodableValue
from penstock.protocols import Codec
from penstock.schemas.serdes import avro as avro_serde
from penstock.testing.memory_registry import MemoryRegistry
from tests.unit.schemas.avro_everything import EVERYTHING, SCHEMA, Everything
from tests.unit.schemas.avro_schemas import Case, cases

FRAME = b"\x00\x00\x00\x00\x01"
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALL_FIELDS = [field["name"] for field in SCHEMA["fields"]]


def codec_of(schema: Any) -> Codec[Any]:
    """A codec for plain values."""
    return avro_serde(schema=json.dumps(schema)).bind("topic", "value", MemoryRegistry(), auto_register=True)


def body(data: bytes, schema: Any) -> io.BytesIO:
    """The datum behind the frame, as other libraries want it; Confluent writes a bare `bytes` schema without length."""
    assert data[:5] == FRAME
    if schema == "bytes":
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, data[5:])
        return io.BytesIO(stream.getvalue())
    return io.BytesIO(data[5:])


@QUICK
@given(st.data())
def test_the_other_libraries_read_what_we_write(data: st.DataObject) -> None:
    case: Case = data.draw(cases())
    value = data.draw(case.values)

    (encoded,) = codec_of(case.schema).encode([value])

    stream = body(encoded, case.schema)
    assert fastavro.schemaless_reader(stream, case.schema, None) == value
    assert stream.read() == b""
    apache = avro.schema.parse(json.dumps(case.schema))
    assert avro.io.DatumReader(apache).read(avro.io.BinaryDecoder(body(encoded, case.schema))) == value


@QUICK
@given(st.data())
def test_we_read_what_fastavro_writes(data: st.DataObject) -> None:
    case: Case = data.draw(cases().filter(lambda case: case.schema != "bytes"))
    value = data.draw(case.values)
    codec = codec_of(case.schema)
    codec.encode([value])  # registers
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, case.schema, value)

    decoded = codec.decode([FRAME + stream.getvalue()])

    assert decoded.failures == {}
    assert decoded.values == [value]


@QUICK
@given(st.lists(EVERYTHING, min_size=1, max_size=3))
def test_objects_come_back_equal_and_of_the_same_types(values: list[Everything]) -> None:
    codec = avro_serde(Everything).bind("topic", "value", MemoryRegistry(), auto_register=True)

    decoded = codec.decode(codec.encode(values))

    assert decoded.failures == {}
    assert decoded.values == values
    assert [types_in(value) for value in decoded.values] == [types_in(value) for value in values]


@QUICK
@given(EVERYTHING)
def test_fastavro_reads_the_logical_types_that_it_knows_as_we_meant_them(value: Everything) -> None:
    codec = avro_serde(Everything).bind("topic", "value", MemoryRegistry(), auto_register=True)
    (encoded,) = codec.encode([value])

    read: Any = fastavro.schemaless_reader(io.BytesIO(encoded[5:]), SCHEMA, None)

    for name in ("flag", "i", "l", "f", "d", "b", "s", "fixed", "at_ms", "at_us", "local_ms", "day", "uuid", "maybe"):
        assert read[name] == getattr(value, name), name
    for name in ("clock_ms", "clock_us", "maybe_int", "maybe_at", "numbers", "days", "flags", "amount", "amount_fixed"):
        assert read[name] == getattr(value, name), name
    assert read["uuid_fixed"] == value.uuid_fixed.bytes
    assert read["color"] == value.color.value


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.decimals(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.lists(st.integers() | st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2) | st.integers(), st.integers(), max_size=2),
    st.just(object()),
)


@settings(QUICK, max_examples=600)
@given(EVERYTHING, st.sampled_from(ALL_FIELDS), JUNK)
def test_a_wrong_value_is_refused_or_comes_back_unchanged(value: Everything, name: str, junk: Any) -> None:
    """Nothing is coerced: what the codec takes, it gives back as it was."""
    codec = avro_serde(Everything).bind("topic", "value", MemoryRegistry(), auto_register=True)
    wrong = msgspec.structs.replace(value, **{name: junk})

    encoded, refusal = attempt(codec, [value, wrong])
    if refusal is not None:
        assert refusal.index == 1
        assert refusal.field.partition(".")[0].rstrip("[]{}") == name
        return
    back: Any = codec.decode(encoded).values[1]
    came_back = getattr(back, name)
    if name in {"f", "d"} and isinstance(junk, int | float):  # Python takes an int for a float; 32 bits are 32 bits
        assert math.isnan(junk) or came_back == (as_32_bits(junk) if name == "f" else junk)
    else:
        assert came_back == junk
        # Integers in the union's list of doubles come back as floats: equal, and as Python has it a float.
        assert is_alike(came_back, junk) or (name == "one_of" and isinstance(junk, list))


def as_32_bits(number: float) -> float:
    """The nearest number that 32 bits hold; 0 for what is too small."""
    (nearest,) = struct.unpack("<f", struct.pack("<f", number))
    return float(nearest)


def attempt(codec: Codec[Any], values: list[Any]) -> tuple[list[bytes], UnencodableValue | None]:
    """The bytes, or why not."""
    try:
        return codec.encode(values), None
    except UnencodableValue as err:
        return [], err


def is_alike(one: Any, other: Any) -> bool:
    """Equal types, all the way down; True is not 1."""
    return bool(types_in(one) == types_in(other))


def types_in(value: Any) -> Any:
    """The types of a value and of what is in it."""
    if isinstance(value, msgspec.Struct):
        return type(value), [types_in(each) for each in msgspec.structs.astuple(value)]
    if isinstance(value, dict):
        given: dict[Any, Any] = value
        return dict, {key: types_in(each) for key, each in given.items()}
    if isinstance(value, list):
        listed: list[Any] = value
        return list, [types_in(each) for each in listed]
    return type(value)


@pytest.mark.parametrize("amount", [Decimal("1.230"), Decimal("1E+2"), Decimal("-0"), Decimal("0E-10")])
def test_a_decimal_that_fits_exactly_is_taken_however_it_is_spelled(amount: Decimal) -> None:
    codec = codec_of({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2})

    assert codec.decode(codec.encode([amount])).values == [amount]
