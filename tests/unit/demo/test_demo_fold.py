"""The verdict on commits names what is off; whoever trusts it must have seen it fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from demo.fold import Change, Entry, Fold, Identity, Input, Rules, TaskLog, fold

STORE = b"\x04sums"
VALUES = {("a",): 1, ("b",): 2, ("c",): 4, ("d",): 8, ("e",): 16}
"""What the inputs add to the sum under "k"; odd ones are filtered away."""


def writes(topic: str, identity: Identity) -> str | None:
    assert topic == "in"
    return "out" if VALUES[identity] % 2 == 0 else None


def changes(topic: str, identity: Identity) -> Change | None:
    assert topic == "in"
    place = list(VALUES).index(identity)
    return "sums", "k", {"sum": sum(list(VALUES.values())[: place + 1])}


def put(offset: int, total: int, key: bytes = b"k") -> Entry:
    return Entry(offset, STORE + key, b"\x01" + msgspec.msgpack.encode({"sum": total}))


def commit(offset: int, next_offset: int, sequence: int) -> Entry:
    record: dict[str, Any] = {"next_offsets": {"in": next_offset}, "sequence": sequence, "digest": b"\0" * 16}
    return Entry(offset, b"\0", msgspec.msgpack.encode(record))


def log() -> TaskLog:
    """A claim, then three transactions: a and b, c alone, d and e. Markers and aborted records leave holes."""
    return TaskLog(
        inputs={"in": [Input(offset, identity) for offset, identity in zip((0, 1, 3, 4, 9), VALUES, strict=True)]},
        changelog=[
            commit(0, 0, 1),
            put(2, 3),
            commit(3, 2, 2),
            put(5, 7),
            commit(6, 4, 3),
            put(8, 31),
            commit(9, 11, 4),
        ],
        outputs={"out": [("b",), ("c",), ("d",), ("e",)]},
        parts={"out": [1, 1, 2]},
        group={"in": 11},
    )


def verdict(found: TaskLog) -> Fold:
    result = fold("p", {0: found}, Rules(writes, changes))
    result.transactions = 4
    return result


def test_what_one_run_over_the_input_comes_to_is_ok() -> None:
    found = verdict(log())
    assert (found.ok, found.problems) == (True, [])
    assert (found.partitions, found.commits, found.records, found.changes) == (1, 4, 5, 3)


def swapped(entries: list[Any], place: int, entry: Any) -> list[Any]:
    return [*entries[:place], entry, *entries[place + 1 :]]


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        (1, put(2, 4)),  # another sum
        (1, put(2, 3, b"j")),  # another key
        (1, Entry(2, STORE + b"k", None)),  # deleted
        (1, Entry(2, b"\x04rest" + b"k", put(2, 3).value)),  # another store
        (2, commit(3, 1, 2)),  # the first transaction says that it is behind a only: its state is ahead of its offsets
        (4, commit(6, 2, 3)),  # the second says that it is where the first was: c would be read again
    ],
)
def test_state_that_is_not_that_of_its_offsets_is_wrong(place: int, entry: Entry) -> None:
    found = verdict(replace(log(), changelog=swapped(log().changelog, place, entry)))
    assert not found.ok
    assert "state that one run over the input does not come to" in found.problems[0]


def test_a_change_of_state_that_was_lost_is_wrong() -> None:
    found = verdict(replace(log(), changelog=[entry for entry in log().changelog if entry.offset != 5]))
    assert (found.ok, found.wrong) == (False, 1)
    assert "p[0], commit 3" in found.problems[0]
    assert "1 keys, the first of them sums/k" in found.problems[0]


@pytest.mark.parametrize(
    ("outputs", "parts"),
    [
        ([("b",), ("c",), ("d",)], [1, 1, 1]),  # lost
        ([("b",), ("c",), ("c",), ("d",), ("e",)], [1, 1, 3]),  # twice
        ([("c",), ("b",), ("d",), ("e",)], [1, 1, 2]),  # out of order
    ],
)
def test_outputs_that_are_not_those_of_the_input_in_its_order_are_wrong(
    outputs: list[Identity], parts: list[int]
) -> None:
    found = verdict(replace(log(), outputs={"out": outputs}, parts={"out": parts}))
    assert not found.ok
    assert any("p[0] in out, record" in problem for problem in found.problems)


@pytest.mark.parametrize("parts", [[2, 2], [1, 1, 1, 1], [2, 1, 1], [1, 2, 1]])
def test_a_transaction_with_another_ones_outputs_is_wrong(parts: list[int]) -> None:
    """In the end everything is there once, but between two commits a reader was shown too much or too little."""
    found = verdict(replace(log(), parts={"out": parts}))
    assert (found.ok, found.wrong) == (False, 1)
    assert "p[0] in out, transaction" in found.problems[0]


def test_input_behind_the_last_commit_is_wrong() -> None:
    found = verdict(replace(log(), changelog=log().changelog[:-2], group={"in": 4}))
    assert not found.ok
    assert "p[0]: 2 records of in are behind the last commit" in found.problems[0]


def test_a_group_that_stands_elsewhere_is_wrong() -> None:
    found = verdict(replace(log(), group={"in": 10}))
    assert (found.ok, found.wrong) == (False, 1)
    assert "the group stands at {'in': 10}, its changelog at {'in': 11}" in found.problems[0]


def test_nothing_compared_is_not_ok() -> None:
    assert not fold("p", {}, Rules(writes, changes)).ok
    empty = TaskLog(inputs={"in": []}, changelog=[], outputs={"out": []}, parts={"out": []}, group={})
    assert not verdict(empty).ok
    unseen = verdict(log())
    unseen.transactions = 0
    assert not unseen.ok


def test_a_tables_entry_is_its_value_and_the_time_beside_it_is_left_out() -> None:
    timed = Entry(2, STORE + b"k", b"\x01" + msgspec.msgpack.encode(({"sum": 3}, 1_700_000_000_000)))
    assert verdict(replace(log(), changelog=swapped(log().changelog, 1, timed))).ok


def redriven() -> TaskLog:
    """As `log`, but c was a dead letter that came back at the end, in a transaction of its own."""
    made = log()
    return replace(
        made,
        inputs={"in": [*made.inputs["in"], Input(11, ("c",), is_redriven=True)]},
        changelog=[*made.changelog, commit(10, 13, 5)],
        outputs={"out": [("b",), ("d",), ("e",), ("c",)], "dlq": [("c",)]},
        parts={"out": [1, 2, 1], "dlq": [1]},
        group={"in": 13},
    )


@pytest.mark.parametrize(("to", "is_right"), [("out", True), ("dlq", False), (None, False)])
def test_a_redriven_record_is_an_input_of_its_own_that_changes_no_state(to: str | None, is_right: bool) -> None:
    def set_aside(topic: str, identity: Identity) -> str | None:
        return "dlq" if identity == ("c",) else writes(topic, identity)

    found = fold("p", {0: redriven()}, Rules(set_aside, changes, redriven=to))
    assert (found.wrong == 0) == is_right, found.problems
