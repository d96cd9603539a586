"""Processors: how they are made, what they are told, and what they may not yield."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.record import Headers, Record
from penstock.runtime.savepoint import RecordFailed
from penstock.schemas.serdes import int64, json
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from tests.unit.operators.one_task import OneTask, Raw, StillClock

IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=str)
LISTS = StoreSpec("lists", key=str, value=list[str])


def task_of(given: Any, **options: Any) -> OneTask:
    pipeline = Pipeline("processing", **options)
    pipeline.stream(IN, timestamp=lambda _: 77, name="in").process(given, name="p").to(OUT)
    return OneTask(pipeline)


def raw(value: str, headers: Headers = ()) -> Raw:
    return Raw("in", b"k", value.encode(), 5, headers)


def test_a_processor_is_told_where_its_record_comes_from() -> None:
    told: list[Any] = []

    def ask(record: Record[str, str], ctx: Context) -> Iterable[Record[str, str]]:
        told.extend([record, ctx.pipeline, ctx.task, ctx.name, ctx.topic, ctx.partition, ctx.offset, ctx.headers])
        told.extend([ctx.timestamp_ms, ctx.event_time_ms, ctx.stream_time_ms, ctx.now_ms()])
        told.extend([ctx.idempotency_key(), ctx.idempotency_key()])
        return []

    headers = (("a", b"1"), ("penstock.secret", b"2"))
    seen = task_of(ask).feed([raw("v", headers=headers)])

    shown = (("a", b"1"),)
    record = Record(key="k", value="v", headers=shown, timestamp_ms=5, topic="in", partition=2, offset=100)
    assert told[:8] == [record, "processing", "in[2]", "p", "in", 2, 100, shown]
    assert told[8:] == [5, 77, 77, StillClock().now_ms(), "in:2:100:0", "in:2:100:1"]
    assert seen.filtered == 0  # a processor may be the end of the way


def test_key_headers_and_timestamp_are_written_as_yielded_and_else_as_read() -> None:
    def several(record: Record[str, str], _: Context) -> Iterator[Record[str, str]]:
        yield record
        yield Record(key="other", value="new")
        yield Record(key="k", value="v", headers=(("h", None),), timestamp_ms=9)

    seen = task_of(several).feed([raw("v", headers=(("a", b"1"),))])

    assert seen.written["out"] == [
        (b"k", b"v", 5, -1, (("a", b"1"),)),
        (b"other", b"new", 5, -1, ()),
        (b"k", b"v", 9, -1, (("h", None),)),
    ]


def test_a_record_without_a_key_goes_to_the_number_of_its_source_partition() -> None:
    def keyless(record: Record[str, str], _: Context) -> Iterator[Record[Any, str]]:
        yield record.with_key(None)
        yield record

    assert [row[3] for row in task_of(keyless).feed([raw("v")]).written["out"]] == [2, -1]


def test_every_task_has_its_own_instance_of_a_class_and_its_own_copy_of_an_object() -> None:
    class Numbered:
        def __init__(self, first: int = 1) -> None:
            self.number = first
            self.opened: list[str] = []

        def open(self, ctx: Context) -> None:
            self.opened.append(ctx.task)

        def process(self, record: Record[str, str], ctx: Context) -> Iterator[Record[str, str]]:
            self.number += 1
            yield record.with_value(f"{self.number} {self.opened} {ctx.name}")

    prototype = Numbered(7)
    for given, first in ((Numbered, 2), (prototype, 8)):
        for _ in range(2):
            seen = task_of(given).feed([raw("v")])
            assert [row[1] for row in seen.written["out"]] == [f"{first} ['in[2]'] p".encode()]
    assert (prototype.number, prototype.opened) == (7, [])


def test_processors_are_closed_last_first_and_all_of_them() -> None:
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str) -> None:
            self.name = name

        def process(self, record: Record[str, str], _: Context) -> Iterator[Record[str, str]]:
            yield record

        def close(self) -> None:
            closed.append(self.name)
            raise OSError(self.name)

    pipeline = Pipeline("closing")
    stream = pipeline.stream(IN)
    stream.process(Closing("one")).process(Closing("two")).to(OUT)
    task = OneTask(pipeline)

    with pytest.raises(OSError, match="two"):
        task.close()
    assert closed == ["two", "one"]


def test_what_a_handler_does_to_a_stored_value_changes_nothing_until_it_is_put() -> None:
    @processor(stores=[LISTS])
    def careless(record: Record[str, str], ctx: Context) -> Iterator[Record[str, str]]:
        lists = ctx.store(LISTS)
        if record.value == "put":
            mine = ["first"]
            lists.put("k", mine)
            mine.append("after the put")
        found = lists.get("k", [])
        found.append("not put")
        for _, scanned in lists.scan():
            scanned.append("not put either")
        yield record.with_value(",".join(lists.get("k", [])))

    task = task_of(careless)
    seen = task.feed([raw("put"), raw("look"), raw("look")])

    assert [row[1] for row in seen.written["out"]] == [b"first"] * 3
    assert task.store("lists").get("k") == ["first"]


def test_a_mutable_aggregate_is_not_changed_by_those_behind_it() -> None:
    numbers = Topic("numbers", key=str, value=int64)
    kept = Topic("kept", key=str, value=json(list[int]))
    pipeline = Pipeline("careless")

    def add(total: list[int], number: int) -> list[int]:
        total.append(number)
        return total

    sums = pipeline.stream(numbers).aggregate(list[int], add, name="sums", value=list[int])
    sums.to_stream().tap(lambda total: total.clear())
    sums.to(kept)
    task = OneTask(pipeline)
    task.feed([Raw("numbers", b"k", n.to_bytes(8, "big")) for n in (1, 2)])

    assert task.store("sums").get("k") == ([1, 2], 0)


def test_log_lines_of_a_processor_carry_its_coordinates(caplog: pytest.LogCaptureFixture) -> None:
    class Logging:
        def open(self, ctx: Context) -> None:
            ctx.logger.warning("opened")

        def process(self, record: Record[str, str], ctx: Context) -> Iterator[Record[str, str]]:
            ctx.logger.warning("odd %s", "thing", extra={"txn": 3})
            yield record

    with caplog.at_level(logging.WARNING, logger="penstock.processor.p"):
        task_of(Logging).feed([raw("v")])

    opened, odd = caplog.records
    assert (opened.name, opened.getMessage(), hasattr(opened, "offset")) == ("penstock.processor.p", "opened", False)
    carried = {name: getattr(odd, name) for name in ("pipeline", "task", "topic", "partition", "offset", "txn")}
    assert carried == {
        "pipeline": "processing", "task": "in[2]", "topic": "in", "partition": 2, "offset": 100, "txn": 3
    }  # fmt: skip
    assert odd.getMessage() == "odd thing"


Yielding = Callable[[Record[str, str]], Any]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda r: r.value, "yielded a str instead of a penstock.Record"),
        (lambda _: Record(key="k", value="v", timestamp_ms=-1), "timestamp_ms that is no time"),
        (lambda _: Record(key="k", value="v", timestamp_ms=1.5), "timestamp_ms that is no time"),  # type: ignore[arg-type]  # on purpose
        (lambda _: Record(key="k", value="v", headers=(("h", "text"),)), "headers that are no tuple of pairs"),  # type: ignore[arg-type]  # on purpose
        (lambda _: Record(key="k", value="v", headers=[("h", b"")]), "headers that are no tuple of pairs"),  # type: ignore[arg-type]  # on purpose
        (lambda _: Record(key="k", value="v", headers=(("penstock.x", b""),)), "are penstock's own"),
        (lambda _: Record(key="k", value="v" * 1_000_001), "1,000,002 bytes, topic 'out' takes 1,000,000"),
        (lambda _: Record(key="k", value=None), "takes no null values"),
    ],
)
def test_what_could_not_be_written_is_refused_while_its_record_is_known(made: Yielding, told: str) -> None:
    def yielding(record: Record[str, str], _: Context) -> Iterator[Any]:
        yield made(record)

    with pytest.raises(RecordFailed, match=told):
        task_of(yielding).feed([raw("v")])


def test_a_new_key_in_front_of_keyed_state_is_a_mistake() -> None:
    """One key's records would be spread over several tasks."""

    def rekeyed(record: Record[str, str], _: Context) -> Iterator[Record[str, str]]:
        yield record.with_key(record.value)

    pipeline = Pipeline("rekeying", on_error="dead_letter")
    stream = pipeline.stream(IN).process(rekeyed)
    stream.map(str.upper).count(name="counts")
    task = OneTask(pipeline)

    assert task.feed([raw("k")]).dead == []
    with pytest.raises(ConfigurationError, match="'rekeyed' gives records another key"):
        task.feed([raw("v")])


def test_in_open_there_is_no_record_to_ask_about() -> None:
    class Early:
        def open(self, ctx: Context) -> None:
            _ = ctx.timestamp_ms

        def process(self, record: Record[str, str], _: Context) -> Iterator[Record[str, str]]:
            yield record

    with pytest.raises(RuntimeError, match="no record in hand"):
        task_of(Early)
