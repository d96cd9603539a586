"""Other owners of a producer, time-outs of its own, and trouble without end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from penstock.errors import (
    DuplicateIdentity,
    OperatorMustDecide,
    RegistryUnavailable,
    ServerUnreachable,
)
from penstock.publishing.cursor import CursorRecord, encode
from penstock.publishing.feed import PublishingLimits
from penstock.record import Record
from tests.unit.publishing.in_memory import Fault, Log, Seen, Written
from tests.unit.publishing.numbers import LIMITS, Numbers


def by_another(log: Log, **changes: Any) -> None:
    """Another process initialises, claims, and publishes nothing yet."""
    log.next_epoch()
    cursors = log.cursors()
    last = cursors[-1] if cursors else CursorRecord()
    changed = msgspec.structs.replace(
        last, writer="another", owner_epoch=last.owner_epoch + 1, sequence=last.sequence + 1, **changes
    )
    log.transactions.append([Written("cursors", 0, b"numbers", encode(changed))])


@pytest.mark.parametrize("at", ["begin", "produce", "cursor", "flush", "commit"])
def test_a_takeover_by_another_process_ends_this_one(at: str) -> None:
    """Wherever it happens; the other's claim is the last word in the log, and it is not fenced in turn."""
    numbers = Numbers(rows=20)

    class TakenOver(Seen):
        def on_step(self, step: str) -> None:
            super().on_step(step)
            if step == at and self.steps.count(at) == 2:
                by_another(numbers.log)

    with pytest.raises(DuplicateIdentity, match=r"taken over .*owner epoch 2"):
        numbers.process(TakenOver()).run()
    assert numbers.log.epoch == 2
    assert numbers.log.cursors()[-1].writer == "another"


def test_a_takeover_before_the_claim_ends_this_one_too() -> None:
    numbers = Numbers(rows=20)

    class TakenOver(Seen):
        def on_step(self, step: str) -> None:
            super().on_step(step)
            if step == "claim" and self.steps.count("claim") == 1:
                by_another(numbers.log)

    with pytest.raises(DuplicateIdentity, match="taken over"):
        numbers.process(TakenOver()).run()
    assert numbers.published == []
    assert numbers.log.epoch == 2


def test_a_takeover_that_claims_late_is_waited_for() -> None:
    """The newer one has initialised and not claimed yet: it is given the time to before the cursor is read."""
    numbers = Numbers(rows=20)

    class TakenOver(Seen):
        def on_step(self, step: str) -> None:
            super().on_step(step)
            if step == "commit" and self.steps.count("commit") == 2:
                numbers.log.next_epoch()
                numbers.clock.on_sleep = lambda: None if len(numbers.log.cursors()) > 1 else by_another(numbers.log)

    with pytest.raises(DuplicateIdentity, match="taken over"):
        numbers.process(TakenOver()).run()
    assert numbers.published == []


def test_its_own_time_out_is_survived() -> None:
    numbers = Numbers(rows=20, log=Log(planted={("commit", 3): Fault.TIMED_OUT}))
    seen = Seen()
    numbers.process(seen).run()
    assert len(seen.aborts) == 1
    assert numbers.published == list(range(20))


def test_three_fences_in_five_minutes_are_a_duplicate_and_two_are_not() -> None:
    for fences, ends_well in ((2, True), (3, False)):
        planted = {("commit", 3 + 3 * i): Fault.TIMED_OUT for i in range(fences)}
        numbers = Numbers(rows=200, log=Log(planted=planted))
        if ends_well:
            numbers.process().run()
            assert numbers.published == list(range(200))
        else:
            with pytest.raises(DuplicateIdentity, match="fenced 3 times in 300 s"):
                numbers.process().run()


def test_fences_that_are_long_apart_are_forgiven() -> None:
    numbers = Numbers(rows=200, log=Log(planted={("commit", 3 + 3 * i): Fault.TIMED_OUT for i in range(4)}))

    class Slow(Seen):
        def on_abort(self, error: Exception) -> None:
            super().on_abort(error)
            numbers.clock.now_s += 200

    numbers.process(Slow()).run()
    assert numbers.published == list(range(200))


def test_a_log_that_lost_a_committed_transaction_needs_an_operator() -> None:
    """An unclean leader election, or a cursor topic made anew: going on would publish rows again."""
    numbers = Numbers(rows=20, log=Log(planted={("flush", 3): Fault.ABORTED}))

    class Losing(Seen):
        def on_abort(self, error: Exception) -> None:
            super().on_abort(error)
            del numbers.log.transactions[1:]

    with pytest.raises(
        OperatorMustDecide, match=r"transaction 2 was committed, but cursors\[0\] ends with transaction 1"
    ):
        numbers.process(Losing()).run()


def test_trouble_without_end_is_given_up() -> None:
    """Claims that succeed in between are no progress."""
    numbers = Numbers(rows=5, limits=PublishingLimits(patience_s=60.0))
    began_s = numbers.clock.now_s

    tries: list[int] = []

    def convert(row: int) -> Record[str, str]:
        tries.append(row)
        assert len(tries) < 1_000, "this does not end"
        raise RegistryUnavailable(f"away at {row}")

    numbers.convert = convert
    with pytest.raises(ServerUnreachable, match=r"no row committed for 6\d s; the last error: away at 0"):
        numbers.process().run()
    assert 60 < numbers.clock.now_s - began_s < 80
    assert len(numbers.log.cursors()) > 5


def test_two_troubles_that_are_long_apart_are_none() -> None:
    """Patience is for one stretch of trouble: an hour with committed rows, or without any to publish, ends it."""
    numbers = Numbers(
        rows=200, limits=LIMITS, log=Log(planted={("flush", 3): Fault.ABORTED, ("flush", 9): Fault.ABORTED})
    )

    class Slow(Seen):
        def on_commit(self, records: int, dead_letters: int) -> None:
            super().on_commit(records, dead_letters)
            numbers.clock.now_s += 400

    numbers.process(Slow()).run()
    assert numbers.published == list(range(200))


def test_a_handle_in_doubt_is_replaced_before_the_next_begin_without_reopening_the_source() -> None:
    opened: list[int | None] = []

    def source(cursor: int | None) -> Iterator[tuple[int, int]]:
        opened.append(cursor)
        for row in range(20):
            yield row, row

    numbers = Numbers(source=source, log=Log(planted={("commit", 2): Fault.DOUBT}))
    seen = Seen()
    numbers.process(seen).run()
    assert seen.rotations == ["planted"]
    assert opened == [None]
    assert numbers.published == list(range(20))
    assert seen.aborts == []


def test_a_takeover_is_noticed_when_a_handle_is_replaced() -> None:
    """Replacing it fences the other owner, which may have published in between: the log is asked first."""
    numbers = Numbers(rows=20, log=Log(planted={("commit", 2): Fault.DOUBT}))

    class TakenOver(Seen):
        def on_rotation(self, reason: str) -> None:
            super().on_rotation(reason)
            by_another(numbers.log)

    with pytest.raises(DuplicateIdentity, match="taken over"):
        numbers.process(TakenOver()).run()
    assert numbers.published == list(range(8))
