"""Times, partitions and routes of a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.savepoint import RecordFailed
from penstock.schemas.serdes import int64
from penstock.schemas.topic import Topic
from tests.unit.operators.one_task import OneTask, Raw

IN = Topic("in", key=str, value=int64)
RATES = Topic("rates", key=str, value=int64, config={"cleanup.policy": "compact"}, tombstones=True)
OUT = Topic("out", key=str, value=int64)


def raw(number: int, timestamp_ms: int = 5, topic: str = "in", key: bytes | None = b"k") -> Raw:
    return Raw(topic, key, number.to_bytes(8, "big"), timestamp_ms)


def numbers(rows: list[Any]) -> list[int]:
    return [int.from_bytes(value, "big") for _, value, *_ in rows]


def test_a_stream_is_joined_with_the_table_as_it_is_when_the_record_comes() -> None:
    pipeline = Pipeline("joining")
    rates = pipeline.table(RATES, name="rates-by-key")
    stream = pipeline.stream(IN)
    stream.join(rates, lambda n, rate: n * rate, name="inner").to(OUT)
    stream.left_join(rates, lambda n, rate: n if rate is None else n * rate).to(Topic("all", key=str, value=int64))
    deleted = Raw("rates", b"k", None, 5)
    records = [raw(1), raw(10, topic="rates"), raw(2), raw(3), raw(20, topic="rates"), raw(4), deleted, raw(5)]

    seen = OneTask(pipeline).feed([*records, raw(6, key=None)])

    assert numbers(seen.written["out"]) == [20, 30, 80]
    assert numbers(seen.written["all"]) == [1, 20, 30, 80, 5, 6]
    assert seen.state == {}


def test_an_aggregate_is_stamped_with_the_latest_time_of_what_went_into_it() -> None:
    pipeline = Pipeline("stamping")
    pipeline.stream(IN).reduce(lambda a, b: a + b, name="sums").to(OUT)
    task = OneTask(pipeline)

    first = task.feed([raw(1, 50), raw(2, 40), raw(3, 60, key=b"other")])
    second = task.feed([raw(4, 45), raw(5, 70)])

    assert [row[2] for row in first.written["out"]] == [50, 50, 60]
    assert [row[2] for row in second.written["out"]] == [50, 70]
    assert numbers(second.written["out"]) == [7, 12]


def test_event_time_moves_stream_time_and_not_the_timestamps_written() -> None:
    pipeline = Pipeline("times")
    pipeline.stream(IN, timestamp=lambda n: datetime.fromtimestamp(n, UTC)).to(OUT)

    seen = OneTask(pipeline).feed([raw(8), raw(3)])

    assert seen.stream_times_ms == {"in": 8_000}
    assert seen.event_time_ms == 3_000
    assert [row[2] for row in seen.written["out"]] == [5, 5]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (datetime(2013, 1, 1), "naive datetime"),  # noqa: DTZ001 - on purpose
        ("2013", "gave a str"),
        (1.5, "gave a float"),
        (None, "gave a NoneType"),
    ],
)
def test_a_record_without_a_proper_event_time_fails_at_its_source(given: Any, told: str) -> None:
    pipeline = Pipeline("times")
    pipeline.stream(IN, timestamp=lambda _: given).to(OUT)
    with pytest.raises(RecordFailed, match=told) as failed:
        OneTask(pipeline).feed([raw(1)])
    assert (failed.value.operator, failed.value.stage) == ("in", "process")


def test_records_that_leave_nothing_behind_are_counted() -> None:
    pipeline = Pipeline("counting")
    odd, _ = pipeline.stream(IN).branch(lambda n: n % 2)
    odd.filter(lambda n: n > 2).to(OUT)
    odd.flat_map(lambda n: [n] * (n - 1)).to(OUT)

    seen = OneTask(pipeline).feed([raw(n) for n in (1, 2, 3, 4)])

    assert (seen.records, seen.filtered) == (4, 3)
    assert numbers(seen.written["out"]) == [3, 3, 3]


def test_a_record_without_a_key_cannot_be_counted_by_key() -> None:
    pipeline = Pipeline("keys", on_error="dead_letter")
    pipeline.stream(IN).count(name="counts").to(OUT)
    pipeline.table(RATES, name="rates-by-key").to(Topic("copy", key=str, value=int64, tombstones=True))
    seen = OneTask(pipeline).feed([raw(1, key=None), raw(1, topic="rates", key=None)])
    assert [(topic, operator) for topic, _, _, operator, _ in seen.dead] == [
        ("in", "counts"),
        ("rates", "rates-by-key"),
    ]


def test_keys_and_values_that_are_too_large_together_with_their_headers_are_refused() -> None:
    text = Topic("text", key=str, value=str)
    pipeline = Pipeline("sizes", on_error="dead_letter")
    pipeline.stream(text).to(Topic("copy", key=str, value=str))
    task = OneTask(pipeline)
    small, large = b"v" * 400_000, b"v" * 600_001
    fits = Raw("text", b"k" * 400_000, small, 5, (("h", b"h" * 199_000),))
    too_large = [Raw("text", b"k" * 400_000, large), Raw("text", b"k", large, 5, (("h", b"h" * 400_000),))]

    seen = task.feed([Raw("text", b"k", large), fits, *too_large])

    assert len(seen.written["copy"]) == 2
    assert [dead[1] for dead in seen.dead] == [104, 106]
