"""What ends a run by an error, and what it leaves behind: nothing open, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.errors import (
    OperatorMustDecide,
)
from tests.unit.publishing.in_memory import Fault, Seen
from tests.unit.publishing.numbers import Numbers


def test_a_source_that_breaks_stops_the_run_and_nothing_half_is_visible() -> None:
    def source(cursor: int | None) -> Iterator[tuple[int, int]]:
        for row in range(0 if cursor is None else cursor + 1, 20):
            if row == 14:
                raise OSError("the disk is gone")
            yield row, row

    numbers = Numbers(source=source)
    with pytest.raises(OperatorMustDecide, match=r"OSError at .*, in its source, behind cursor 13\."):
        numbers.process().run()
    assert numbers.published == list(range(8))  # whole transactions only
    numbers.source = None
    numbers.process().run()
    assert numbers.published == list(range(20))


def test_a_source_that_cannot_be_opened_or_named_stops_the_run() -> None:
    def missing(cursor: int | None) -> Iterator[tuple[int, int]]:
        raise FileNotFoundError(f"no file for {cursor}")

    with pytest.raises(OperatorMustDecide, match=r"FileNotFoundError .* in its source, behind cursor None\."):
        Numbers(source=missing).process().run()

    numbers = Numbers()
    with pytest.raises(OperatorMustDecide, match=r"ZeroDivisionError .* in its fingerprint function\."):
        numbers.process(fingerprint=lambda: str(1 // 0)).run()
    assert numbers.log.transactions == []


def test_a_source_that_yields_the_committed_row_again_is_refused_before_it_is_published_twice() -> None:
    def inclusive(cursor: int | None) -> Iterator[tuple[int, int]]:
        return iter((row, row) for row in range(cursor or 0, 10))

    numbers = Numbers(source=inclusive)
    numbers.process().run(limit=4)
    with pytest.raises(OperatorMustDecide, match="behind cursor 3, its source begins with that cursor again"):
        numbers.process().run()
    assert numbers.published == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_that_ends_the_run_ends_the_open_transaction_too(error: type[BaseException]) -> None:
    """Else its readers would wait for the coordinator's time-out."""

    class Raising(Seen):
        def on_step(self, step: str) -> None:
            super().on_step(step)
            if step == "commit" and self.steps.count(step) == 2:
                raise error

    numbers, hooks = Numbers(), Raising()
    with pytest.raises(error):
        numbers.process(hooks).run()
    assert numbers.log.staged == []
    assert hooks.steps[-1] == "init"


def test_an_error_outside_a_transaction_fences_nobody() -> None:
    def source(_: int | None) -> Iterator[tuple[int, int]]:
        found: dict[str, list[tuple[int, int]]] = {}
        yield from found["no such file"]

    hooks = Seen()
    with pytest.raises(OperatorMustDecide):
        Numbers(source=source).process(hooks).run()
    assert hooks.steps.count("init") == 1


def test_a_cluster_that_is_gone_too_does_not_hide_what_ended_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def source(_: int | None) -> Iterator[tuple[int, int]]:
        yield from ((row, row) for row in range(6))
        raise OSError

    numbers = Numbers(source=source)
    numbers.log.planted = {("init", at): Fault.RETRIABLE for at in range(2, 500)}
    before_s = numbers.clock.now_s
    with pytest.raises(OperatorMustDecide, match="OSError"):
        numbers.process().run()
    assert "stays open until its time-out" in caplog.text
    assert numbers.clock.now_s - before_s < 10


def test_a_hook_that_raises_ends_the_run_and_loses_nothing() -> None:
    for step in (
        "init",
        "read cursor",
        "claim",
        "source",
        "begin",
        "convert",
        "produce",
        "cursor",
        "commit",
        "committed",
    ):
        numbers = Numbers(rows=20)

        class Raising(Seen):
            def on_step(self, step: str, fatal: str = step) -> None:
                super().on_step(step)
                if self.steps.count(fatal) == 2 or step == fatal == "source":
                    raise RuntimeError(fatal)

        if step in ("init", "read cursor", "claim"):
            numbers.log.planted = {("flush", 2): Fault.ABORTED}  # so that the step comes twice
        with pytest.raises(RuntimeError, match=step):
            numbers.process(Raising()).run()
        numbers.log.planted = {}
        numbers.process().run()
        assert numbers.published == list(range(20)), step
