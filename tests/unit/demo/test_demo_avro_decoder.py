"""The verdict's own Avro decoder against the reference library."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from avro.io import BinaryEncoder, DatumWriter
from avro.schema import parse
from hypothesis import given
from hypothesis import strategies as st

from demo.avro_decoder import decode, decoder_of

SCHEMAS = {path.stem: json.loads(path.read_text()) for path in Path("schemas/flights").glob("*.avsc")}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(),
}


def plain(schema: Any) -> Any:
    """The schema without logical types, as the decoder reads it."""
    if isinstance(schema, dict):
        return {name: plain(part) for name, part in schema.items() if name != "logicalType"}
    return [plain(part) for part in schema] if isinstance(schema, list) else schema


def values(schema: Any) -> st.SearchStrategy[Any]:
    """Values of a schema without logical types."""
    match schema:
        case list():
            return st.one_of([values(branch) for branch in schema])
        case {"type": "record", "fields": fields}:
            return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in fields})
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"type": inner}:
            return values(inner)
        case _:
            return VALUES[schema]


def encoded(schema: Any, value: Any) -> bytes:
    """What the reference library writes."""
    stream = io.BytesIO()
    DatumWriter(parse(json.dumps(schema))).write(value, BinaryEncoder(stream))
    return stream.getvalue()


@given(st.data(), st.sampled_from(sorted(SCHEMAS)))
def test_it_reads_what_the_reference_library_writes(data: st.DataObject, name: str) -> None:
    schema = plain(SCHEMAS[name])
    value = data.draw(values(schema))
    assert decode(decoder_of(SCHEMAS[name]), encoded(schema, value)) == value


@given(st.data())
def test_missing_and_left_over_bytes_are_refused(data: st.DataObject) -> None:
    schema = plain(SCHEMAS["Airline"])
    whole = encoded(schema, data.draw(values(schema)))
    with pytest.raises(ValueError, match="bytes are missing"):
        decode(decoder_of(schema), whole[:-1])
    with pytest.raises(ValueError, match="bytes are left over"):
        decode(decoder_of(schema), whole + b"\0")


def test_a_type_that_the_demo_has_no_use_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not a type of the demo's schemas"):
        decoder_of({"type": "array", "items": "string"})
