"""Queues of parked records: in order, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.deadletter.parking import ParkedRecord, Parking, ParkingLimits, Queue, parking_stores
from penstock.record import Headers
from penstock.state.store import Store
from penstock.state.task_state import MAX_ENTRY_BYTES, TaskState


def parking(limits: ParkingLimits | None = None) -> Parking:
    state = TaskState()
    queues, records = parking_stores("in")
    return Parking("in", 0, Store(queues, state), Store(records, state), limits or ParkingLimits())


def record(offset: int, value: bytes = b"v") -> ParkedRecord:
    return ParkedRecord(offset, 5, value)


def fail(lot: Parking, key: bytes, offset: int, due_ms: int = 10) -> None:
    lot.park(key, record(offset), Queue(0, 1, record(offset).size_bytes, due_ms, 1, 0))


@given(
    keys=st.lists(st.binary(max_size=3), min_size=1, max_size=30),
    leaves=st.lists(st.integers(0, 29), max_size=30),
)
def test_each_key_leaves_in_the_order_in_which_it_came(keys: list[bytes], leaves: list[int]) -> None:
    """Also where some leave while others come, and keys begin like each other."""
    lot, waiting = parking(), dict[bytes, list[int]]()
    for offset, key in enumerate(keys):
        if lot.holds(key):
            lot.join(key, record(offset))
        else:
            fail(lot, key, offset)
        waiting.setdefault(key, []).append(offset)
        if offset < len(leaves):
            leaving = sorted(waiting)[leaves[offset] % len(waiting)] if waiting else None
            head = None if leaving is None else lot.due_head(leaving, 1_000)
            if leaving is not None and head is not None:
                assert head.record.offset == waiting[leaving].pop(0)
                assert lot.batch(head).offsets == [head.record.offset]
                lot.leave(head, 1_000)
                if not waiting[leaving]:
                    del waiting[leaving]
    assert {key: queue.records for key, queue in lot.listed()} == {key: len(w) for key, w in waiting.items()}
    assert all(lot.holds(key) == (key in waiting) for key in keys)


def test_heads_are_due_in_the_order_of_their_times_and_no_sooner() -> None:
    lot = parking()
    for key, due_ms in ((b"a", 30), (b"b", 10), (b"c", 20)):
        fail(lot, key, 1, due_ms)
    assert lot.due(25) == [b"b", b"c"]
    assert lot.due_head(b"a", 25) is None
    assert lot.due(30) == [b"b", b"c", b"a"]


@pytest.mark.parametrize(
    ("limits", "key", "count", "has_room"),
    [
        (ParkingLimits(max_keys=2), b"new", 1, False),
        (ParkingLimits(max_keys=3), b"new", 1, True),
        (ParkingLimits(max_keys=2), b"a", 1, True),
        (ParkingLimits(max_records_per_key=3), b"a", 2, True),
        (ParkingLimits(max_records_per_key=3), b"a", 3, False),
        (ParkingLimits(max_bytes_per_key=3), b"a", 2, True),
        (ParkingLimits(max_bytes_per_key=3), b"a", 3, False),
        (ParkingLimits(max_bytes=4), b"a", 2, True),
        (ParkingLimits(max_bytes=4), b"a", 3, False),
        (ParkingLimits(max_bytes=4), b"new", 2, True),
        (ParkingLimits(max_bytes=4), b"new", 3, False),
    ],
)
def test_what_exceeds_a_bound_has_no_room(limits: ParkingLimits, key: bytes, count: int, *, has_room: bool) -> None:
    lot = parking(limits)
    fail(lot, b"a", 1)
    fail(lot, b"b", 2)
    assert lot.has_room(key, [record(9)] * count) is has_room


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.parametrize(
    ("key", "headers"),
    [
        (b"\0" * 300_000, ()),
        (b"k", tuple(("h", b"") for _ in range(5_000))),
        (b"\0" * 9, (("\U0001f6eb" * 50_000, b"\0" * 9),)),
    ],
    ids=["zeros in the key", "many headers", "a long name"],
)
def test_what_has_room_is_taken(key: bytes, headers: Headers, excess: int) -> None:
    """To the last byte: what was refused only then would end the worker, and each one that is started after it."""
    lot, longest = parking(), 0
    for size in range(0, MAX_ENTRY_BYTES, 1_000):
        if lot.has_room(key, [ParkedRecord(1, 5, b"v" * size, headers)]):
            longest = size
    while lot.has_room(key, [ParkedRecord(1, 5, b"v" * (longest + 1), headers)]):
        longest += 1
    head = ParkedRecord(2**62, 2**62, b"v" * (longest + excess), headers)
    assert lot.has_room(key, [head]) is not bool(excess)
    if not excess:
        lot.park(key, head, Queue(0, 1, head.size_bytes, 2**62, 10**9, 2**62, "o" * 63, "E" * 100))
        lot.join(key, head)


def test_who_leaves_makes_room_and_what_was_rolled_back_does_with_the_next_look() -> None:
    state = TaskState()
    queues, records = parking_stores("in")
    lot = Parking("in", 0, Store(queues, state), Store(records, state), ParkingLimits(max_bytes=2))
    fail(lot, b"a", 1)
    state.accept_batch()
    fail(lot, b"b", 2)
    assert not lot.has_room(b"a", [record(3)])
    state.drop_batch()
    assert lot.due(10) == [b"a"]
    assert lot.has_room(b"a", [record(3)])
    assert not lot.has_room(b"a", [record(3), record(4)])
    head = lot.due_head(b"a", 10)
    assert head is not None
    lot.leave(head, 10)
    assert lot.has_room(b"a", [record(3), record(4)])


def test_a_record_that_no_entry_of_the_state_takes_has_none() -> None:
    assert not parking().has_room(b"a", [record(1, b"x" * MAX_ENTRY_BYTES)])
