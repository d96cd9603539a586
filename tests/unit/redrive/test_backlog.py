"""Which dead letters wait for somebody, told by those that were read and by what the ledger says of them."""

from __future__ import annotations

from penstock.deadletter.dead_letter import DeadLetter
from penstock.redrive.backlog import Backlog, OpenLetters
from penstock.redrive.ledger import Ledger
from tests.unit.redrive.letters import dead_letter


def ledger() -> Ledger:
    return Ledger("dlq.p.in", "id")


def letter(partition: int, offset: int, seen_ms: int) -> DeadLetter:
    return dead_letter(offset, partition=partition, failed_ms=seen_ms)


def test_letters_are_open_until_the_ledger_says_something_else() -> None:
    opened, fates = OpenLetters(), ledger()
    opened.take([letter(0, 1, 500), letter(0, 3, 400), letter(1, 0, 900)], fates)
    assert opened.backlog == Backlog(3, 400)
    fates.mark(0, 3, "redriven")
    opened.forget_settled(fates)
    assert opened.backlog == Backlog(2, 500)
    fates.mark(0, 1, "dropped")
    fates.mark(1, 0, "dropped")
    opened.forget_settled(fates)
    assert opened.backlog == Backlog(0, None)


def test_what_was_dealt_with_before_it_is_read_never_counts() -> None:
    opened, fates = OpenLetters(), ledger()
    fates.mark(0, 1, "redriven")
    opened.take([letter(0, 1, 500), letter(0, 2, 600)], fates)
    assert opened.backlog == Backlog(1, 600)


def test_what_was_deleted_waits_for_nobody() -> None:
    opened = OpenLetters()
    opened.take([letter(0, 1, 500), letter(0, 3, 400), letter(1, 0, 900)], ledger())
    opened.forget_deleted({0: 3, 1: 1})
    assert opened.backlog == Backlog(1, 400)


def test_reading_goes_on_behind_what_was_read() -> None:
    opened = OpenLetters()
    fates = ledger()
    fates.mark(0, 3, "dropped")
    opened.take([letter(0, 1, 500), letter(0, 3, 400), letter(1, 0, 900)], fates)
    assert opened.next_offsets == {0: 4, 1: 1}
    opened.forget_deleted({0: 10, 1: 10})
    assert opened.backlog == Backlog(0, None)
    assert opened.next_offsets == {0: 4, 1: 1}, "also where nothing of it is left"


def test_what_became_of_letters_is_counted_and_what_is_reopened_is_not() -> None:
    fates = ledger()
    for offset in (1, 2, 5_000):
        fates.mark(0, offset, "redriven")
    fates.mark(1, 0, "dropped")
    assert (fates.redriven, fates.dropped) == (3, 1)
    fates.mark(0, 2, "open")
    fates.mark(0, 1, "dropped")
    assert (fates.redriven, fates.dropped) == (1, 2)
