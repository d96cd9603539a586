"""The verdict's own MessagePack reader against the library that the engine writes state with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.message_pack import decode

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=40)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=20)
)


@given(VALUES)
def test_it_reads_what_the_library_writes(value: Any) -> None:
    assert decode(msgspec.msgpack.encode(value)) == value


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_becomes_its_milliseconds(written: datetime) -> None:
    """Before 1970, beyond 32 bits of seconds, with and without a fraction: three forms of a timestamp."""
    assert decode(msgspec.msgpack.encode(written)) == (written - EPOCH) // timedelta(milliseconds=1)


@given(VALUES)
def test_missing_and_left_over_bytes_are_refused(value: Any) -> None:
    whole = msgspec.msgpack.encode(value)
    with pytest.raises(ValueError, match="bytes are missing"):
        decode(whole[:-1])
    with pytest.raises(ValueError, match="bytes are left over"):
        decode(whole + b"\0")


@pytest.mark.parametrize("data", [b"\xc1", msgspec.msgpack.encode(msgspec.msgpack.Ext(3, b"abcd"))])
def test_a_form_that_the_demo_has_no_use_for_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a form|no timestamp"):
        decode(data)
