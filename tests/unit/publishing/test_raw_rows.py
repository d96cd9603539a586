"""A row as its dead letter shows it: always something, and where possible everything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.publishing.raw import raw_bytes
from penstock.record import Record


class Opaque:
    """Nothing that JSON could say."""

    def __repr__(self) -> str:
        return "Opaque()"


@dataclass
class Row:
    n: int


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (b"\xff\x00", b"\xff\x00"),
        ("é", "é".encode()),
        ("\udcff", b"\xff"),  # a byte that was no UTF-8 where the row was read
        ("\ud800", b"\xed\xa0\x80"),
        ({"a": 1, "b": None}, b'{"a":1,"b":null}'),
        ([1, "x", 2.5], b'[1,"x",2.5]'),
        (Row(3), b'{"n":3}'),
        (date(2013, 1, 1), b'"2013-01-01"'),
        ({"a": Opaque()}, b'{"a":"<Opaque>"}'),
        (Opaque(), b'"<Opaque>"'),
        (None, b"null"),
    ],
    ids=repr,
)
def test_a_row_is_shown_as_it_is(row: Any, shown: bytes) -> None:
    assert raw_bytes(row) == shown


@pytest.mark.parametrize("row", [{"name": "half \udc80"}, {"n": 2**70}, [2**200]])
def test_what_msgspec_refuses_is_not_lost(row: Any) -> None:
    assert json.loads(raw_bytes(row)) == row


def test_a_record_is_shown_with_its_key_and_value() -> None:
    assert json.loads(raw_bytes(Record(key="k", value={"a": 1})))["value"] == {"a": 1}


def test_what_cannot_be_shown_at_all_is_named() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert raw_bytes(endless) == b'{"unshowable":"list"}'
    assert raw_bytes({(1, 2): 3}) == b'{"<tuple>":3}'


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.text()
    | st.binary()
    | st.integers()
    | st.floats()
    | st.builds(Opaque)
    | st.datetimes()
    | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner),
    max_leaves=6,
)


@given(VALUES)
def test_no_row_is_lost_because_it_cannot_be_shown(row: Any) -> None:
    assert isinstance(raw_bytes(row), bytes)
