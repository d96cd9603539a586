from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from penstock.kafka.group_members import _assigned  # pyright: ignore[reportPrivateUsage]

TOPICS = st.dictionaries(st.text(max_size=5), st.lists(st.integers(0, 2**31 - 1), max_size=4), max_size=4)


def written(topics: dict[str, list[int]]) -> bytes:
    """A `ConsumerProtocolAssignment` of version 1, without user data."""
    data = struct.pack(">hi", 1, len(topics))
    for topic, partitions in topics.items():
        name = topic.encode()
        data += struct.pack(f">h{len(name)}si{len(partitions)}i", len(name), name, len(partitions), *partitions)
    return data + struct.pack(">i", -1)


@given(TOPICS)
def test_what_a_member_of_a_classic_group_has_is_read_from_its_bytes(topics: dict[str, list[int]]) -> None:
    due = [(topic, partition) for topic, partitions in topics.items() for partition in partitions]
    assert list(_assigned(written(topics))) == due


@given(st.binary(max_size=40))
def test_other_bytes_are_no_partitions_and_no_error(data: bytes) -> None:
    assert isinstance(list(_assigned(data)), list)


@given(TOPICS, st.data())
def test_bytes_that_end_too_soon_are_no_partitions_and_no_error(
    topics: dict[str, list[int]], data: st.DataObject
) -> None:
    whole = written(topics)[:-4]
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert list(_assigned(whole[:cut])) == []


def test_a_number_of_topics_that_is_not_there_costs_nothing() -> None:
    assert list(_assigned(struct.pack(">hi", 1, 2**31 - 1))) == []
    assert list(_assigned(struct.pack(">hih1si", 1, 1, 1, b"t", 2**31 - 1))) == []
