from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConfigurationError
from penstock.state.key_codec import KeyCodec, key_codec

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x01\xff"), max_size=6)
BYTES = st.binary(max_size=4) | st.lists(st.sampled_from([0, 1, 254, 255]), max_size=5).map(bytes)
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)


def codec_of(declared: Any) -> KeyCodec[Any]:
    return key_codec(declared, "s")


@given(TEXT, TEXT)
def test_text_keys_come_back_and_are_ordered_by_code_point(a: str, b: str) -> None:
    codec = codec_of(str)
    assert codec.decode(codec.encode(a)) == a
    assert (codec.encode(a) < codec.encode(b)) == (a < b)


@given(INTS, INTS)
def test_whole_numbers_come_back_and_are_ordered_across_zero(a: int, b: int) -> None:
    codec = codec_of(int)
    assert codec.decode(codec.encode(a)) == a
    assert (codec.encode(a) < codec.encode(b)) == (a < b)


@given(st.tuples(TEXT, INTS, BYTES), st.tuples(TEXT, INTS, BYTES))
def test_tuples_come_back_and_are_ordered_like_tuples(a: tuple[str, int, bytes], b: tuple[str, int, bytes]) -> None:
    codec = codec_of(tuple[str, int, bytes])
    assert codec.decode(codec.encode(a)) == a
    assert (codec.encode(a) < codec.encode(b)) == (a < b)


@given(st.tuples(BYTES, BYTES), BYTES)
def test_a_first_component_is_a_prefix_of_its_own_tuples_only(key: tuple[bytes, bytes], first: bytes) -> None:
    codec: Any = codec_of(tuple[bytes, bytes])
    assert codec.encode(key).startswith(codec.encode_first((first,))) == (key[0] == first)


def test_the_bytes_of_a_whole_number_are_big_endian_with_the_sign_bit_flipped() -> None:
    codec = codec_of(int)
    assert codec.encode(-1) == bytes.fromhex("7fffffffffffffff")
    assert codec.encode(5) == bytes.fromhex("8000000000000005")


def test_the_bytes_of_a_tuple_are_as_documented() -> None:
    assert codec_of(tuple[str, int]).encode(("a\x00", 0)) == b"a\x00\xff\x00\x01" + bytes([128, 0, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("declared", [float, list[str], tuple[str, ...], tuple[str, float], tuple, None])
def test_other_key_types_are_refused_with_what_there_is(declared: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"store 's'.*str, bytes, int and tuples"):
        key_codec(declared, "s")


def test_an_object_with_encode_and_decode_is_a_codec() -> None:
    class Upper:
        def encode(self, key: str) -> bytes:
            return key.upper().encode()

        def decode(self, data: bytes) -> str:
            return data.decode()

    own = Upper()
    assert key_codec(own, "s") is own
