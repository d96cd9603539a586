"""What a producer's run does at its edges: limits, rates, signals, changed sources, mistakes, other owners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from penstock.errors import (
    ConfigurationError,
    DuplicateIdentity,
    OperatorMustDecide,
    RegistryUnavailable,
    ServerUnreachable,
)
from penstock.publishing.cursor import CursorRecord, encode
from penstock.publishing.feed import PublishingLimits
from penstock.publishing.run import ProducerRun
from penstock.record import Record
from tests.unit.publishing.in_memory import Fault, InMemoryProducer, Log, ManualClock, Seen, Written
from tests.unit.publishing.numbers import LIMITS, Numbers


def record(row: int) -> Record[str, str]:
    return Record(key=f"key-{row % 3}", value=str(row))


def headers_of(written: Written) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in written.headers}


# ---------------------------------------------------------------- start, end, cursor


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


# ---------------------------------------------------------------- rows at fault


def test_a_dead_letter_says_what_failed_and_where() -> None:
    numbers = Numbers(rows=3, bad={1})
    numbers.process().run()
    (dead,) = numbers.log.committed("dlq.numbers")
    assert dead.value == b"1"
    headers = headers_of(dead)
    assert headers["penstock.dlq.reason"] == "planted"
    assert headers["penstock.dlq.stage"] == "convert"
    assert headers["penstock.dlq.position"] == headers["__dlq.errors.offset"] == "1"
    assert headers["penstock.dlq.pipeline"] == headers["__dlq.errors.topic"] == "numbers"


def test_a_mistake_in_the_code_stops_at_the_row_and_loses_none() -> None:
    """The message names the cursor; mended, the next run publishes everything."""

    def convert(row: int) -> Record[str, str]:
        if row == 9:
            raise KeyError("no such column")
        return record(row)

    numbers = Numbers(rows=12, convert=convert)
    with pytest.raises(
        OperatorMustDecide, match=r"KeyError at test_run_rules.py:\d+ in convert for cursor 9\."
    ) as told:
        numbers.process().run()
    assert "column" not in str(told.value)
    assert numbers.dead == []
    numbers.convert = record
    numbers.process().run()
    assert numbers.published == list(range(12))


def test_something_else_than_a_record_is_a_mistake_and_no_dead_letter() -> None:
    numbers = Numbers(rows=3, convert=lambda row: None if row == 1 else record(row))
    with pytest.raises(OperatorMustDecide, match=r"a NoneType instead of a penstock.Record for cursor 1\."):
        numbers.process().run()
    assert numbers.log.transactions[1:] == []  # the claim alone


def test_a_record_larger_than_the_topic_takes_is_a_dead_letter() -> None:
    """Key, value and headers count together: the client would refuse it again and again."""

    def convert(row: int) -> Record[str, str]:
        match row:
            case 1:
                return Record(key="k", value="v" * 2_000)
            case 2:
                return Record(key="k" * 1_000, value="v" * 1_000)
            case 3:
                return Record(key="k", value="v", headers=(("h", b"h" * 2_000),))
            case _:
                return record(row)

    numbers = Numbers(rows=5, convert=convert)
    numbers.process().run()
    assert numbers.published == [0, 4]
    assert numbers.dead == [1, 2, 3]
    assert {headers_of(d)["penstock.dlq.reason"] for d in numbers.log.committed("dlq.numbers")} == {"oversize"}


def test_a_record_that_the_broker_refuses_is_a_dead_letter_and_its_twins_are_not() -> None:
    """The same value under a key that the broker accepts is published."""

    def convert(row: int) -> Record[Any, str]:
        return Record(key=None if row == 2 else "key", value="same")

    def refuses(written: Written) -> str | None:
        return "INVALID_RECORD" if written.topic == "numbers" and written.key is None else None

    numbers = Numbers(rows=5, convert=convert, log=Log(refuses=refuses))
    numbers.process().run()
    assert numbers.log.values("numbers") == [b"same"] * 4
    (dead,) = numbers.log.committed("dlq.numbers")
    assert (dead.value, headers_of(dead)["penstock.dlq.stage"]) == (b"2", "sink")
    assert "INVALID_RECORD" in headers_of(dead)["__dlq.errors.message"]


def test_a_refused_dead_letter_or_cursor_stops_the_run() -> None:
    for topic in ("dlq.numbers", "cursors"):
        log = Log(refuses=lambda w, topic=topic: "too large" if w.topic == topic else None)  # type: ignore[misc]
        numbers = Numbers(rows=5, bad={2}, log=log)
        with pytest.raises(OperatorMustDecide, match=rf"{topic} refuses a record \(too large\)"):
            numbers.process().run()
        assert log.transactions[1:] == []


def test_a_whole_batch_refused_for_its_size_makes_no_dead_letters_of_innocents() -> None:
    class Suspecting(InMemoryProducer):
        def refused(self) -> list[Any]:
            return [r._replace(is_certain=False) for r in super().refused()]

    log = Log(refuses=lambda w: "too large" if w.topic == "numbers" else None)
    numbers = Numbers(rows=5, log=log)
    run = numbers.process()
    run._session._connect = lambda: Suspecting(log)
    with pytest.raises(OperatorMustDecide, match="start again"):
        run.run()
    assert numbers.dead == []


@pytest.mark.parametrize("partition", [3, -1, 99])
def test_a_partition_function_that_leaves_the_topic_stops_the_run(partition: int) -> None:
    numbers = Numbers(rows=3, partition=lambda record, n: partition if record.value == "1" else n - 1)
    with pytest.raises(OperatorMustDecide, match=rf"gave {partition}, but 'numbers' has partitions 0 to 2"):
        numbers.process().run()
    assert numbers.published == []


def test_a_partition_function_that_breaks_is_a_mistake_at_its_row() -> None:
    def choose(record: Record[str, str], partitions: int) -> int:
        return {"0": 0, "1": partitions - 1}[record.value]

    numbers = Numbers(rows=3, partition=choose)
    with pytest.raises(OperatorMustDecide, match=r"KeyError at .* in choose for cursor 2"):
        numbers.process().run()


def test_the_partition_function_decides() -> None:
    numbers = Numbers(rows=4, bad={1}, partition=lambda record, n: int(record.value) % n)
    numbers.process().run()
    assert [w.partition for w in numbers.log.committed("numbers")] == [0, 2, 0]


def test_a_record_with_a_timestamp_is_refused_with_the_reason() -> None:
    numbers = Numbers(rows=3, convert=lambda row: Record(key="k", value=str(row), timestamp_ms=1))
    with pytest.raises(OperatorMustDecide, match="stamped with the time of publishing"):
        numbers.process().run()


def test_headers_stay_with_their_records() -> None:
    """Also where only some have any, and a bad row makes the batch go one by one."""

    def convert(row: int) -> Record[str, str]:
        if row == 1:
            raise ValueError
        return Record(key="k", value=str(row), headers=(("n", b"%d" % row),) if row > 2 else ())

    numbers = Numbers(rows=6, convert=convert)
    numbers.process().run()
    assert [(w.value, dict(w.headers).get("n")) for w in numbers.log.committed("numbers")] == [
        (b"0", None),
        (b"2", None),
        (b"3", b"3"),
        (b"4", b"4"),
        (b"5", b"5"),
    ]


def test_a_registry_that_is_away_makes_no_dead_letters() -> None:
    """It is asked again in the next tenure, and the rows are published."""
    left = [3]

    def convert(row: int) -> Record[str, str]:
        if row == 2 and left[0]:
            left[0] -= 1
            raise RegistryUnavailable("away")
        return record(row)

    numbers = Numbers(rows=5, convert=convert)
    numbers.process().run()
    assert numbers.published == list(range(5))
    assert numbers.dead == []


# ---------------------------------------------------------------- rate, waiting sources, signals


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


# ---------------------------------------------------------------- other owners, time-outs, patience


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


# ---------------------------------------------------------------- doubt


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
