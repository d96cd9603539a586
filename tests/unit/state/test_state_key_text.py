"""Keys on a command line: by the store's key type, and an error that says how to write one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import UsageError
from penstock.state.key_codec import TextKey
from penstock.state.key_text import parse_key, parse_prefix, shown_key
from penstock.state.spec import StoreSpec


def spec(key: Any) -> StoreSpec[Any, Any]:
    return StoreSpec("by-route", key, int)


@pytest.mark.parametrize(
    ("kind", "text", "key"),
    [
        (str, "N14228", "N14228"),
        (str, "", ""),
        (int, "-17", -17),
        (bytes, "00ff", b"\x00\xff"),
        (tuple[str, int], '["EWR", 17]', ("EWR", 17)),
        (tuple[bytes, str], '["00ff", "x"]', (b"\x00\xff", "x")),
    ],
)
def test_a_key_is_written_by_its_type(kind: Any, text: str, key: Any) -> None:
    assert parse_key(spec(kind), text) == key


@given(st.tuples(st.text(), st.integers(), st.binary()))
def test_what_is_shown_of_a_tuple_is_what_can_be_written(key: tuple[str, int, bytes]) -> None:
    assert parse_key(spec(tuple[str, int, bytes]), msgspec.json.encode(shown_key(key)).decode()) == key


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (int, "seventeen", "a whole number, not as 'seventeen'"),
        (bytes, "0g", "bytes in hex, as 00ff, not as '0g'"),
        (tuple[str, int], "EWR", "a JSON list of text, a whole number, not as 'EWR'"),
        (tuple[str, int], '["EWR"]', "a JSON list of text, a whole number"),
        (tuple[str, int], '["EWR", 1, 2]', "a JSON list"),
        (tuple[str, int], '["EWR", "1"]', "a JSON list"),
        (tuple[str, int], '["EWR", true]', "a JSON list"),
        (tuple[bytes, int], '["0g", 1]', "a JSON list of bytes in hex"),
        (tuple[str, int], '{"a": 1}', "a JSON list"),
        (TextKey(), "x", "a codec of their own.*penstock state scan"),
    ],
)
def test_what_is_no_such_key_is_told_how_to_write_one(kind: Any, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"store 'by-route'.*{words}") as caught:
        parse_key(spec(kind), text)
    assert caught.value.exit_code == 2


def test_prefixes_are_text_bytes_or_the_first_components() -> None:
    assert parse_prefix(spec(str), "N1") == "N1"
    assert parse_prefix(spec(bytes), "00") == b"\x00"
    assert parse_prefix(spec(tuple[str, int]), '["EWR"]') == ("EWR",)
    with pytest.raises(UsageError, match="no prefix; use --from and --to"):
        parse_prefix(spec(int), "1")
    with pytest.raises(UsageError, match="or of the first of these"):
        parse_prefix(spec(tuple[str, int]), "[]")
