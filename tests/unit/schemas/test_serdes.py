"""Serdes without a registry, and which serde a type gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConfigurationError, UnencodableValue
from penstock.protocols import Codec
from penstock.schemas.serdes import avro, int64, int_text, json, raw, serde_for, text


def bound(serde: Any) -> Codec[Any]:
    codec: Codec[Any] = serde.bind("t", "value", None)
    return codec


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_utf8(value: str) -> None:
    assert bound(text).encode([value]) == [value.encode()]
    assert bound(text).decode([value.encode()]).values == [value]


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_come_back(value: int) -> None:
    for serde in (int64, int_text):
        assert bound(serde).decode(bound(serde).encode([value])).values == [value]


def test_int64_is_javas_long() -> None:
    """The bytes of org.apache.kafka.common.serialization.LongSerializer."""
    assert bound(int64).encode([1, -2]) == [b"\x00" * 7 + b"\x01", b"\xff" * 7 + b"\xfe"]


@pytest.mark.parametrize(
    ("serde", "value"),
    [
        (text, b"x"),
        (text, "\ud800"),
        (raw, "x"),
        (raw, bytearray(b"x")),
        (int64, 2**63),
        (int64, True),
        (int64, "1"),
        (int64, 1.0),
        (int_text, 2**63),
        (int_text, False),
        (json(), object()),
    ],
)
def test_another_type_is_refused_by_its_index(serde: Any, value: Any) -> None:
    first = {text: "x", raw: b"x"}.get(serde, 1)
    with pytest.raises(UnencodableValue, match="the value of topic 't'") as caught:
        bound(serde).encode([first, value])
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("serde", "data", "reason"),
    [
        (text, b"\xff", "utf8"),
        (int64, b"\x00" * 7, "size"),
        (int64, b"\x00" * 9, "size"),
        (int_text, b"", "size"),
        (int_text, b"+1", "size"),
        (int_text, b" 1", "size"),
        (int_text, b"1_0", "size"),
        (int_text, b"01", "size"),
        (int_text, b"9" * 5_000, "size"),
        (int_text, b"9223372036854775808", "size"),
        (json(), b"{", "json"),
        (json(), b"\xff", "json"),
        (json(), b"[" * 100_000, "too_deep"),
        (json(int), b'"x"', "json"),
    ],
)
def test_what_cannot_be_decoded_is_reported_and_not_raised(serde: Any, data: bytes, reason: str) -> None:
    good = {text: b"x", int64: b"\x00" * 8}.get(serde, b"1")
    decoded = bound(serde).decode([good, data])
    assert decoded.values[0] is not None
    assert decoded.values[1] is None
    assert {index: failure.reason for index, failure in decoded.failures.items()} == {1: reason}


class Point(msgspec.Struct, frozen=True):
    x: int


def test_json_takes_and_gives_typed_values() -> None:
    assert bound(json(Point)).encode([Point(x=1)]) == [b'{"x":1}']
    assert bound(json(Point)).decode([b'{"x":1}']).values == [Point(x=1)]
    assert bound(json()).encode([{"b": 1, "a": 2}]) == [b'{"a":2,"b":1}']


def test_types_get_their_serde_and_serdes_stay() -> None:
    assert serde_for(str) is text
    assert serde_for(bytes) is raw
    assert serde_for(int64) is int64


def test_a_bare_int_is_refused_with_the_choice() -> None:
    with pytest.raises(ConfigurationError, match=r"int64 \(8 bytes.*int_text.*avro"):
        serde_for(int)


@dataclass
class Plain:
    x: int


@pytest.mark.parametrize("kind", [Plain, Point, dict, float, 5, "flights"])
def test_a_type_without_a_serde_is_refused_with_the_way_out(kind: Any) -> None:
    with pytest.raises(ConfigurationError):
        serde_for(kind)


def test_avro_needs_a_registry() -> None:
    with pytest.raises(ConfigurationError, match=r"registry\.url"):
        avro(schema='"int"').bind("t", "value", None)
