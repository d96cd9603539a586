from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ConfigurationError, OperatorMustDecide
from penstock.state import commit_record, offset_metadata
from penstock.state.changelog import COMMIT_RECORD_KEY, end_of_prefix, prefix_of, split_key, store_prefix
from penstock.state.commit_record import CommitRecord
from penstock.state.offset_metadata import OffsetMetadata

RECORD = CommitRecord(
    next_offsets={"flights": 12, "planes": 3},
    sequence=7,
    writer="delays.a.0",
    owner_epoch=2,
    stream_time_ms=None,
    digest=bytes(range(16)),
    topology="abc",
)

# ---------------------------------------------------------------- changelog keys


@given(st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True), st.binary(max_size=40))
def test_a_changelog_key_splits_into_what_it_was_made_of(store: str, key: bytes) -> None:
    full = store_prefix(store) + key
    assert split_key(full) == (store, key)
    assert prefix_of(full) == store_prefix(store)


def test_the_form_of_a_changelog_key() -> None:
    assert store_prefix("sums") + b"k" == b"\x04sumsk"
    assert split_key(COMMIT_RECORD_KEY) == ("", b"")


@given(st.binary(max_size=80))
def test_foreign_keys_are_refused_or_keys_of_ours(data: bytes) -> None:
    try:
        store, key = split_key(data)
    except OperatorMustDecide:
        return
    assert (store_prefix(store) + key if store else COMMIT_RECORD_KEY) == data


@pytest.mark.parametrize("data", [b"", b"\x00x", b"\x04sum", b"\x03SUM", b"\x80\x01", b"\x03a\xff\xff"])
def test_keys_that_penstock_cannot_have_written(data: bytes) -> None:
    with pytest.raises(OperatorMustDecide, match="did not write"):
        split_key(data)


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_the_end_of_a_prefix_lies_behind_all_that_begin_with_it(prefix: bytes, data: bytes) -> None:
    end = end_of_prefix(prefix)
    assert data.startswith(prefix) == (prefix <= data and (end is None or data < end))


# ---------------------------------------------------------------- commit record


def test_a_commit_record_comes_back() -> None:
    assert commit_record.decode(commit_record.encode(RECORD), "t[0]@1") == RECORD


def test_the_clocks_of_upstream_tasks_come_back_and_take_no_room_where_there_are_none() -> None:
    """A record of a group that reads no repartition topic is what it was before there were any."""
    clocks = msgspec.structs.replace(RECORD, clocks_ms={"p.by-carrier.repartition": (5, None, -7)})
    assert commit_record.decode(commit_record.encode(clocks), "t[0]@1") == clocks
    assert list(msgspec.msgpack.decode(commit_record.encode(RECORD))) == [
        "format",
        "next_offsets",
        "sequence",
        "writer",
        "owner_epoch",
        "stream_time_ms",
        "digest",
        "topology",
        "streams_begun",
    ]


def test_fields_of_a_later_release_in_the_same_format_are_ignored() -> None:
    raw = msgspec.msgpack.decode(commit_record.encode(RECORD))
    assert commit_record.decode(msgspec.msgpack.encode({**raw, "new": 1}), "t[0]@1") == RECORD


def test_a_newer_format_is_refused_even_if_nothing_else_can_be_read() -> None:
    with pytest.raises(OperatorMustDecide, match=r"t\[0\]@1: commit record of format 2.*run the release that wrote it"):
        commit_record.decode(msgspec.msgpack.encode({"format": 2, "sequence": "other"}), "t[0]@1")


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x01", msgspec.msgpack.encode({"format": 1}), msgspec.msgpack.encode({"sequence": 1})]
)
def test_what_is_no_commit_record_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(OperatorMustDecide, match=r"t\[0\]@1"):
        commit_record.decode(data, "t[0]@1")


def test_a_short_digest_is_refused() -> None:
    with pytest.raises(OperatorMustDecide, match="digest of 3 bytes"):
        commit_record.decode(commit_record.encode(msgspec.structs.replace(RECORD, digest=b"abc")), "t[0]@1")


# ---------------------------------------------------------------- offset metadata

TIMES = st.none() | st.integers(-(2**62), 2**62)


@given(
    st.builds(
        OffsetMetadata,
        sequence=st.integers(0, 2**62),
        writer=st.from_regex(r"[a-z0-9.-]{0,200}", fullmatch=True),
        owner_epoch=st.integers(0, 2**62),
        append_time_ms=TIMES,
        event_time_ms=TIMES,
        checkpoint=TIMES,
        stream_time_ms=TIMES,
    )
)
def test_offset_metadata_comes_back_and_is_short(metadata: OffsetMetadata) -> None:
    text = str(metadata)
    assert len(text) <= 1_000
    assert offset_metadata.parse(text) == metadata


def test_the_form_of_offset_metadata() -> None:
    metadata = OffsetMetadata(
        sequence=7, writer="delays.a.0", owner_epoch=2, append_time_ms=17, checkpoint=41, topology="a8bff8a689ca43d0"
    )
    assert str(metadata) == "p1;s=7;w=delays.a.0;oe=2;ts=17;ev=;ck=41;tp=a8bff8a689ca43d0;st="


def test_unknown_fields_of_offset_metadata_are_ignored() -> None:
    found = offset_metadata.parse("p1;zz=9;oe=2;w=a;s=7;flag")
    assert found == OffsetMetadata(sequence=7, writer="a", owner_epoch=2)


@pytest.mark.parametrize(
    "text", [None, "", "NONE", "p", "px;s=1", "p1", "p1;s=7", "p1;s=x;w=a;oe=1", "p1;s=1;w=a;oe=", "xp1;s=1;w=a;oe=1"]
)
def test_metadata_of_others_says_nothing(text: str | None) -> None:
    assert offset_metadata.parse(text) is None


def test_newer_metadata_is_refused() -> None:
    with pytest.raises(OperatorMustDecide, match=r"version 2.*run the release that wrote it"):
        offset_metadata.parse("p2;s=1")


@pytest.mark.parametrize(("writer", "words"), [("a" * 990, "shorten"), ("a;s=9", "rename")])
def test_a_writer_that_does_not_fit_is_refused(writer: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        str(OffsetMetadata(sequence=1, writer=writer, owner_epoch=1))
