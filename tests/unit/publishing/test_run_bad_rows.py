"""What becomes of rows and records that cannot be published, and of mistakes in the code that makes them."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import (
    OperatorMustDecide,
    RegistryUnavailable,
)
from penstock.record import Record
from tests.unit.publishing.in_memory import InMemoryProducer, Log, Written
from tests.unit.publishing.numbers import Numbers, record


def headers_of(written: Written) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in written.headers}


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
        OperatorMustDecide, match=r"KeyError at test_run_bad_rows.py:\d+ in convert for cursor 9\."
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
