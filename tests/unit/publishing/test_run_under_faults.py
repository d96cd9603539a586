"""Whatever happens to whichever call: every row once, in order, and the cursor never ahead or behind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import DuplicateIdentity
from tests.unit.publishing.in_memory import Crash, Fault, Log, Seen, Written
from tests.unit.publishing.numbers import Numbers

ROWS = 23
FAULTS = st.dictionaries(st.integers(0, 120), st.sampled_from(Fault), max_size=12)
SOME_ROWS = st.sets(st.integers(0, ROWS - 1), max_size=6)


def run_to_the_end(numbers: Numbers, *, limit: int | None = None) -> list[Seen]:
    """Start the producer again whenever it dies, as a supervisor does; the hooks of each life."""
    lives: list[Seen] = []
    while len(lives) < 40:
        lives.append(Seen())
        try:
            numbers.process(lives[-1]).run(limit=limit)
        except Crash:
            continue
        except DuplicateIdentity as exc:
            if "fenced 3 times" not in str(exc):  # three planted time-outs are one too many, nothing else is
                raise
            continue
        return lives
    raise AssertionError("the producer does not come to an end")


def check_every_prefix(log: Log, bad: set[int], rows: int) -> None:
    """At each commit the rows up to the cursor, and no others, were published or dead-lettered."""
    seen: list[int] = []
    for sequence, transaction in enumerate(log.transactions, start=1):
        seen += [int(w.value or b"") for w in transaction if w.topic != "cursors"]
        cursors = Log(transactions=[transaction]).cursors()
        assert len(cursors) == 1
        cursor = cursors[0]
        assert cursor.sequence == sequence
        assert sorted(seen) == list(range(0 if cursor.cursor is None else cursor.cursor + 1))
        assert cursor.rows == len(seen)
        assert cursor.dead_letters == len([row for row in seen if row in bad])
    assert seen
    assert max(seen) == rows - 1


@settings(max_examples=250, deadline=None)
@given(faults=FAULTS, bad=SOME_ROWS, refused=SOME_ROWS)
def test_every_row_is_committed_once_and_in_order(faults: dict[int, Fault], bad: set[int], refused: set[int]) -> None:
    def refuses(written: Written) -> str | None:
        return "planted" if written.topic == "numbers" and int(written.value or b"-1") in refused else None

    numbers = Numbers(rows=ROWS, bad=bad, log=Log(faults=faults, refuses=refuses))
    run_to_the_end(numbers)
    outcasts = bad | refused
    assert numbers.published == [row for row in range(ROWS) if row not in outcasts]
    assert numbers.dead == sorted(outcasts)
    check_every_prefix(numbers.log, outcasts, ROWS)


@settings(max_examples=60, deadline=None)
@given(faults=FAULTS, limit=st.integers(1, ROWS - 1))
def test_a_limit_counts_rows_over_all_of_its_tenures(faults: dict[int, Fault], limit: int) -> None:
    """What is published again after an abort counts once; a new process has a new limit."""
    faults = {at: fault for at, fault in faults.items() if fault not in (Fault.CRASH, Fault.CRASH_AFTER)}
    numbers = Numbers(rows=ROWS, log=Log(faults=faults))
    lives = run_to_the_end(numbers, limit=limit)
    if len(lives) == 1:
        assert numbers.published == list(range(limit))


@settings(max_examples=60, deadline=None)
@given(faults=FAULTS, bad=SOME_ROWS)
def test_hooks_are_told_of_each_committed_row_once(faults: dict[int, Fault], bad: set[int]) -> None:
    """Also of those whose commit was not answered and turned out to have happened."""
    faults = {at: fault for at, fault in faults.items() if fault not in (Fault.CRASH, Fault.CRASH_AFTER)}
    lives = run_to_the_end(Numbers(rows=ROWS, bad=bad, log=Log(faults=faults)))
    if len(lives) == 1:
        commits = lives[0].commits
        assert sum(records for records, _ in commits) == ROWS - len(bad)
        assert sum(dead for _, dead in commits) == len(bad)


CALLS_OF_A_RUN = 60


@pytest.mark.parametrize("fault", Fault)
def test_one_fault_at_each_call_in_turn_changes_nothing(fault: Fault) -> None:
    for call in range(CALLS_OF_A_RUN):
        numbers = Numbers(rows=ROWS, bad={3, 9}, log=Log(faults={call: fault}))
        run_to_the_end(numbers)
        assert numbers.published == [row for row in range(ROWS) if row not in (3, 9)], call
        assert numbers.dead == [3, 9], call
        check_every_prefix(numbers.log, {3, 9}, ROWS)


def test_the_calls_of_a_run_are_all_tried() -> None:
    numbers = Numbers(rows=ROWS, bad={3, 9})
    run_to_the_end(numbers)
    assert 20 < numbers.log.calls < CALLS_OF_A_RUN
