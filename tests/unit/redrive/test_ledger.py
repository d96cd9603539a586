"""The ledger gives back what was marked, and nothing of another topic."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import OperatorMustDecide
from penstock.kafka.reader import RawRecord
from penstock.record import Record
from penstock.redrive.ledger import BLOCK, Fate, Ledger, Run, run_record

PLACES = st.tuples(st.integers(0, 3), st.integers(0, 3 * BLOCK) | st.integers(2**40, 2**40 + 10))
FATES: list[Fate] = ["open", "redriven", "dropped"]


def records(ledger: Ledger) -> list[RawRecord]:
    keys, values = ledger.staged()
    return [
        Record(key=key, value=value, topic="p.redrives", partition=0, offset=n)
        for n, (key, value) in enumerate(zip(keys, values, strict=True))
    ]


@given(marks=st.lists(st.tuples(PLACES, st.sampled_from(FATES)), max_size=40))
def test_what_was_marked_last_is_read_back(marks: list[tuple[tuple[int, int], Fate]]) -> None:
    ledger, expected, log = Ledger("dlq", "id"), dict[tuple[int, int], Fate](), list[RawRecord]()
    for place, fate in marks:
        ledger.mark(*place, fate)
        expected[place] = fate
        log += records(ledger)  # each its own transaction
        ledger.settle()
    again = Ledger.of("dlq", "id", log)
    assert {place: again.fate(*place) for place in expected} == expected
    assert again.fate(9, 9) == "open"
    neighbours = [(partition, offset + 1) for partition, offset in expected if (partition, offset + 1) not in expected]
    assert {again.fate(*place) for place in neighbours} <= {"open"}


def test_a_topic_that_was_made_anew_has_nothing_dealt_with() -> None:
    ledger = Ledger("dlq", "old-id")
    ledger.mark(0, 5, "redriven")
    log = records(ledger)
    assert Ledger.of("dlq", "old-id", log).fate(0, 5) == "redriven"
    assert Ledger.of("dlq", "new-id", log).fate(0, 5) == "open"


def test_only_blocks_that_were_changed_are_written() -> None:
    ledger = Ledger("dlq", "id")
    ledger.mark(0, 5, "redriven")
    ledger.settle()
    ledger.mark(1, BLOCK, "dropped")
    assert [key for key, _ in zip(*ledger.staged(), strict=True)] == [b"block id 1 1"]


def test_runs_are_read_back_whichever_topic_they_are_of() -> None:
    run = Run(id="r1", action="drop", topic="other", letters=3, held={"loop": 1}, is_finished=True)
    key, value = run_record(run)
    log: list[RawRecord] = [Record(key=key, value=value)]
    assert Ledger.of("dlq", "id", log).runs == {"r1": run}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (b"run r", msgspec.msgpack.encode({"format": 2}), "newer than this release"),
        (b"run r", b"\x93\x01", "no record of a ledger"),
        (b"block id 0 0", b"", "no record of a ledger"),
        (b"something", b"else", "no record of a ledger"),
    ],
)
def test_what_this_release_cannot_read_stops_it(key: bytes, value: bytes, told: str) -> None:
    """Passing over it would redrive again what stands there."""
    with pytest.raises(OperatorMustDecide, match=told):
        Ledger.of("dlq", "id", [Record(key=key, value=value, topic="p.redrives", partition=0, offset=3)])
