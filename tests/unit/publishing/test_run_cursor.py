"""What a run begins behind: the committed cursor, a given one, none; and what it makes of a changed source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from penstock.errors import (
    ConfigurationError,
    OperatorMustDecide,
)
from tests.unit.publishing.in_memory import Fault, Log, Seen
from tests.unit.publishing.numbers import Numbers


def test_a_second_run_finds_nothing_left_to_publish() -> None:
    numbers = Numbers(rows=10)
    numbers.process().run()
    last = numbers.process().run()
    assert numbers.published == list(range(10))
    assert (last.cursor, last.records, last.owner_epoch) == (9, 10, 2)


def test_the_cursor_of_the_first_tenure_is_none() -> None:
    """An empty source is claimed all the same, and its next run begins at the beginning."""
    numbers = Numbers(rows=0)
    assert numbers.process().run().cursor is None
    numbers.rows = 3
    numbers.process().run()
    assert numbers.published == [0, 1, 2]


def test_a_limit_is_for_one_run() -> None:
    numbers = Numbers(rows=20)
    numbers.process().run(limit=7)
    assert numbers.published == list(range(7))
    numbers.process().run(limit=7)
    assert numbers.published == list(range(14))


def test_the_same_run_started_again_has_its_limit_again() -> None:
    numbers = Numbers(rows=20)
    run = numbers.process()
    run.run(limit=7)
    run.run(limit=7)
    assert numbers.published == list(range(14))


def test_a_given_cursor_replaces_the_committed_one_once() -> None:
    """An abort later on continues behind what was committed, not behind the given cursor again."""
    numbers = Numbers(rows=20)
    numbers.process().run()
    third = numbers.log.calls_of["flush"] + 3  # the claim, the first rows, and then
    numbers.log.planted = {("flush", third): Fault.ABORTED}
    seen = Seen()
    numbers.process(seen).run(from_cursor=(2,))
    assert len(seen.aborts) == 1
    assert numbers.published == [*range(20), *range(3, 20)]


def test_the_beginning_may_be_given_too() -> None:
    numbers = Numbers(rows=3)
    numbers.process().run()
    numbers.process().run(from_cursor=(None,))
    assert numbers.published == [0, 1, 2, 0, 1, 2]


def test_a_changed_source_is_refused_with_both_fingerprints() -> None:
    numbers = Numbers(rows=3)
    numbers.process().run()
    numbers.fingerprint = "another"
    with pytest.raises(OperatorMustDecide, match=r"cursor 2 .*as it was, now another.*--from"):
        numbers.process().run()
    numbers.process().run(from_cursor=(2,))
    numbers.rows = 4
    numbers.process().run()
    assert numbers.published == [0, 1, 2, 3]


def test_a_source_that_changes_between_two_tenures_is_refused() -> None:
    """Rows of the new content must not be published behind a cursor of the old."""
    numbers = Numbers(rows=20, log=Log(planted={("flush", 3): Fault.ABORTED}))

    class Changing(Seen):
        def on_abort(self, error: Exception) -> None:
            super().on_abort(error)
            numbers.fingerprint = "another"

    with pytest.raises(OperatorMustDecide, match="has changed"):
        numbers.process(Changing()).run()
    assert 0 < len(numbers.published) < 20


def test_an_unkeepable_cursor_stops_before_anything_is_committed() -> None:
    """A tuple would come back as a list, and only after the first crash."""

    def source(cursor: Any) -> Iterator[tuple[Any, int]]:
        del cursor
        yield (2013, 1), 1

    numbers = Numbers(source=source)
    with pytest.raises(ConfigurationError, match="cursor of type tuple"):
        numbers.process().run()
    assert numbers.published == []
