"""What the cursor topic holds: read back as it was, refused where it cannot be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConfigurationError, OperatorMustDecide
from penstock.kafka.client import Connection
from penstock.kafka.partitioner import partition_for
from penstock.publishing import cursor
from penstock.publishing.cursor import FORMAT, CursorRecord, cursor_topic, decode, encode, read_cursor
from penstock.record import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
CURSORS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(kept=CURSORS, numbers=st.lists(st.integers(0, 2**62), min_size=5, max_size=5), text=TEXT)
def test_a_record_is_read_back_as_it_was_written(kept: Any, numbers: list[int], text: str) -> None:
    record = CursorRecord(
        cursor=kept,
        sequence=numbers[0],
        owner_epoch=numbers[1],
        records=numbers[2],
        dead_letters=numbers[3],
        written_ms=numbers[4],
        writer=text,
        fingerprint=text,
    )
    back = decode(encode(record), "here")
    assert back == record
    assert type(back.cursor) is type(kept)


@pytest.mark.parametrize(
    "unkeepable",
    [
        object(),
        (2013, 1),
        [1, (2, 3)],
        {1, 2},
        uuid.UUID(int=1),
        Decimal("1.5"),
        datetime(2013, 1, 1),  # noqa: DTZ001 - a naive time is the point
        2**64,
        -(2**63) - 1,
        "half \udc80",
        float("nan"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_cursor_that_would_come_back_as_something_else_is_refused(unkeepable: Any) -> None:
    """Seen at the first commit, where it costs nothing, and not at the first resumption."""
    with pytest.raises(ConfigurationError, match=f"cursor of type {type(unkeepable).__name__} cannot be kept"):
        encode(CursorRecord(cursor=unkeepable))


def test_a_newer_format_is_refused_before_the_rest_is_read() -> None:
    newer = msgspec.msgpack.encode({"format": FORMAT + 1, "cursor": 1, "sequence": {"now": "a map"}})
    with pytest.raises(
        OperatorMustDecide, match=rf"^t\[3\]@17: cursor format {FORMAT + 1} is newer .*run the newer release"
    ):
        decode(newer, "t[3]@17")


def test_a_field_that_a_later_release_adds_within_the_format_is_passed_over() -> None:
    data = msgspec.msgpack.encode({"format": FORMAT, "cursor": 5, "added": 1})
    assert decode(data, "here").cursor == 5


@given(st.binary(max_size=60))
def test_garbage_is_refused_and_never_another_error(data: bytes) -> None:
    try:
        decode(data, "here")
    except OperatorMustDecide as exc:
        assert "here: " in str(exc)  # noqa: PT017 - most garbage is refused, some is a record


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x80", b"not msgpack", b"\x81\xa6format\xa1x", b"\x91" * 100_000])
def test_what_is_no_cursor_names_its_place_and_what_to_do(data: bytes) -> None:
    with pytest.raises(OperatorMustDecide, match=r"^t\[3\]@17: no cursor record; something else writes"):
        decode(data, "t[3]@17")


def test_deep_nesting_under_a_known_format_is_refused() -> None:
    data = b"\x82\xa6format\x01\xa6cursor" + b"\x91" * 100_000 + b"\x01"
    with pytest.raises(OperatorMustDecide, match="no cursor record"):
        decode(data, "here")


def test_rows_are_records_and_dead_letters() -> None:
    assert CursorRecord(records=5, dead_letters=2).rows == 7


def test_the_last_of_its_own_key_is_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other producers share the partition; a null value takes a cursor back."""
    topic = cursor_topic("demo", "team.")
    assert (topic.name, topic.config["cleanup.policy"]) == ("team.demo.cursors", "compact")
    there: list[tuple[bytes, bytes | None]] = []

    def read_to_end(connection: Connection, name: str, partition: int, *, client_id: str) -> Iterator[Record[Any, Any]]:
        assert (connection.bootstrap_servers, client_id) == ("a:1", "flights.cursor")
        assert (name, partition) == (topic.name, partition_for(b"flights", 8))
        for offset, (key, value) in enumerate(there):
            yield Record(key=key, value=value, offset=offset)

    monkeypatch.setattr(cursor, "read_to_end", read_to_end)
    assert read_cursor(Connection("a:1"), topic, "flights") is None
    there += [(b"flights", encode(CursorRecord(cursor=1))), (b"flights", encode(CursorRecord(cursor=2)))]
    there += [(b"flight", encode(CursorRecord(cursor=3))), (b"weather", b"garbage of another")]
    found = read_cursor(Connection("a:1"), topic, "flights")
    assert found is not None
    assert found.cursor == 2
    there.append((b"flights", None))
    assert read_cursor(Connection("a:1"), topic, "flights") is None
