"""How a run keeps a rate, waits for a source, and stops when it is told to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.publishing.feed import PublishingLimits
from penstock.publishing.run import ProducerRun
from penstock.record import Record
from tests.unit.publishing.in_memory import Log, ManualClock, Seen
from tests.unit.publishing.numbers import Numbers, record


def test_a_rate_is_kept_within_each_second_too() -> None:
    """A fast source must not fill a large transaction first and then be held for as long as that many rows take."""
    clock = ManualClock(tick_s=0.0001)
    numbers = Numbers(rows=60, clock=clock, limits=PublishingLimits(commit_interval_s=0.25))
    at: list[tuple[float, int]] = []

    class Timed(Seen):
        def on_commit(self, records: int, dead_letters: int) -> None:
            at.append((clock.now_s, records + dead_letters))

    began_s = clock.now_s
    numbers.process(Timed()).run(rate=20.0)
    assert sum(n for _, n in at) == 60
    assert max(n for _, n in at) <= 5  # a quarter of a second's worth
    assert clock.now_s - began_s >= 60 / 20.0 - 0.25


def test_stop_is_heard_while_a_slow_rate_is_held() -> None:
    numbers = Numbers(rows=5)
    run = numbers.process()
    numbers.clock.on_sleep = run.stop
    began_s = numbers.clock.now_s
    run.run(rate=0.01)
    assert numbers.published == [0]
    assert numbers.clock.now_s - began_s < 1.0


def test_a_source_with_nothing_now_gets_its_staged_rows_committed() -> None:
    """Rows before a None are visible before the source is asked again; no transaction is open meanwhile."""
    log = Log()
    visible: list[list[bytes | None]] = []

    def source(cursor: int | None) -> Iterator[tuple[int, int] | None]:
        del cursor
        for row in range(0, 12, 3):
            yield from ((r, r) for r in range(row, row + 3))
            yield None
            assert not log.staged
            visible.append(log.values("numbers"))

    numbers = Numbers(log=log, source=source)
    numbers.process().run()
    assert [len(values) for values in visible] == [3, 6, 9, 12]


@pytest.mark.parametrize(("stop_at", "published"), [(1, 4), (5, 8)])
def test_stop_commits_what_is_staged_and_takes_no_more(stop_at: int, published: int) -> None:
    """In the first batch of a transaction, and in a later one."""
    numbers = Numbers(rows=20)
    runs: list[ProducerRun[str, str]] = []

    def convert(row: int) -> Record[str, str]:
        if row == stop_at:
            runs[0].stop()
        return record(row)

    numbers.convert = convert
    runs.append(numbers.process())
    last = runs[0].run()
    assert numbers.published == list(range(published))
    assert last.cursor == published - 1
