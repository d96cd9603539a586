"""`key_by` and `repartition`: what goes into the topic, and what comes out of it behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.operators.repartition_records import MARK_HEADERS, TimeMark, encode_mark
from penstock.record import Headers, Record
from penstock.runtime.stream_time import NO_TIME_YET
from penstock.schemas.serdes import int64, json
from penstock.schemas.topic import Topic
from tests.unit.operators.one_task import OneTask, Raw

IN = Topic("in", key=str, value=int64)
OUT = Topic("out", key=str, value=int64)
REKEYED = "p.by-digit.repartition"


def number(n: int) -> bytes:
    return n.to_bytes(8, "big")


def raw(n: int, timestamp_ms: int = 5, *headers: tuple[str, bytes | None], key: bytes | None = b"k") -> Raw:
    return Raw("in", key, number(n), timestamp_ms, headers)


def between(key: bytes | None, n: int, timestamp_ms: int = 5, *headers: tuple[str, bytes | None]) -> Raw:
    """A record as it stands in the repartition topic."""
    return Raw(REKEYED, key, number(n), timestamp_ms, headers)


def mark(task: int, stream_time_ms: int, tasks: int = 2) -> Raw:
    value = encode_mark(TimeMark(task=task, tasks=tasks, stream_time_ms=stream_time_ms))
    return Raw(REKEYED, None, value, 5, MARK_HEADERS)


def digits(pipeline: Pipeline) -> None:
    stream = pipeline.stream(IN, timestamp=lambda n: n * 10)
    stream.key_by(lambda n: str(n % 10), name="by-digit").reduce(lambda a, b: a + b, name="sums").to(OUT)


def test_a_record_travels_under_its_new_key_with_its_times_its_headers_and_where_it_came_from() -> None:
    pipeline = Pipeline("p")
    digits(pipeline)
    written = OneTask(pipeline).feed([raw(13, 5, ("trace", b"1")), raw(1, 10)]).written[REKEYED]
    assert written == [
        (b"3", number(13), 5, -1, (("penstock.origin", b"in[2]@100"), ("penstock.time", b"130"), ("trace", b"1"))),
        # Event time and timestamp are the same, so one of them is enough.
        (b"1", number(1), 10, -1, (("penstock.origin", b"in[2]@102"),)),
    ]


def test_what_stands_behind_it_keeps_a_value_per_new_key() -> None:
    pipeline = Pipeline("p")
    digits(pipeline)
    seen = OneTask(pipeline).feed([between(b"3", 13), between(b"1", 1), between(b"3", 23)])
    assert [(key, value) for key, value, *_ in seen.written["out"]] == [
        (b"3", number(13)),
        (b"1", number(1)),
        (b"3", number(36)),
    ]


def test_user_code_sees_neither_marks_nor_our_headers_and_marks_are_not_counted() -> None:
    seen: list[tuple[str, int, Headers, int, int]] = []

    @processor()
    def look(record: Record[str, int], ctx: Context) -> Iterator[Record[str, int]]:
        seen.append((record.key, record.value, record.headers, ctx.event_time_ms, ctx.stream_time_ms))
        yield record

    pipeline = Pipeline("p")
    rekeyed = pipeline.stream(IN).key_by(lambda n: str(n % 10), name="by-digit")
    rekeyed.process(look).filter(lambda n: n > 1).to(OUT)
    ours = (("penstock.origin", b"in[0]@7"), ("penstock.time", b"-3"))
    records = [mark(0, 70), between(b"1", 1), mark(1, 50), between(b"2", 2, 5, *ours, ("trace", b"1")), mark(1, 60)]

    found = OneTask(pipeline).feed(records)

    assert seen == [("1", 1, (), 5, NO_TIME_YET), ("2", 2, (("trace", b"1"),), -3, 50)]
    assert (found.records, found.filtered) == (2, 0)
    assert found.stream_times_ms[REKEYED] == 60
    assert [row[4] for row in found.written["out"]] == [(("trace", b"1"),)]


def test_a_chain_of_repartitions_names_the_first_input() -> None:
    pipeline = Pipeline("p")
    first = pipeline.stream(IN).key_by(lambda n: str(n % 10), name="by-digit")
    first.map(lambda n: n + 1).repartition(name="again", value=int64).to(OUT)
    again = (
        OneTask(pipeline).feed([between(b"3", 13, 5, ("penstock.origin", b"in[0]@7"))]).written["p.again.repartition"]
    )
    assert again == [(b"3", number(14), 5, -1, (("penstock.origin", b"in[0]@7"),))]


def test_a_record_that_is_given_no_key_fails_and_one_without_a_key_is_only_moved() -> None:
    pipeline = Pipeline("p", on_error="dead_letter")
    stream = pipeline.stream(IN)
    stream.key_by(lambda n: None if n == 2 else str(n), name="by-digit").to(OUT)  # type: ignore[arg-type,return-value]
    stream.repartition(2, name="moved").to(OUT)
    seen = OneTask(pipeline).feed([raw(1), raw(2), raw(3, key=None)])
    assert [(dead[1], dead[2], dead[3]) for dead in seen.dead] == [(102, "process", "by-digit")]
    # By key as Java does; without one, by the partition it was read from.
    assert [(key, partition) for key, _, _, partition, _ in seen.written["p.moved.repartition"]] == [
        (b"k", -1),
        (None, 2),
    ]


def test_a_key_of_another_type_says_where_to_declare_it() -> None:
    pipeline = Pipeline("p")
    pipeline.stream(IN).key_by(lambda n: n, name="by-digit").to(OUT)  # type: ignore[arg-type,return-value]
    with pytest.raises(
        OperatorMustDecide, match=r"takes UTF-8 text; a int does not fit; .* by key= or value= of 'by-dig"
    ):
        OneTask(pipeline).feed([raw(1)])


def test_a_header_of_ours_cannot_be_forged() -> None:
    """A user's record that carries one would be taken for a time mark."""

    @processor()
    def forge(record: Record[str, int], _: Context) -> Iterator[Record[str, int]]:
        yield Record(key=record.key, value=record.value, headers=(("penstock.control", b"stream-time"),))

    pipeline = Pipeline("p", on_error="dead_letter")
    pipeline.stream(IN).process(forge).key_by(str, name="by-digit", value=int64).to(OUT)
    seen = OneTask(pipeline).feed([raw(1), raw(2, 5, ("penstock.control", b"stream-time"))])
    assert [dead[2:4] for dead in seen.dead] == [("encode", "by-digit")] * 2
    assert REKEYED not in seen.written


def test_keys_and_values_travel_as_they_are_declared() -> None:
    pipeline = Pipeline("p")
    pairs = pipeline.stream(IN).map(lambda n: (n, str(n)))
    pairs.key_by(lambda pair: pair[0], name="by-digit", key=int64, value=json(tuple[int, str])).count(name="counts")
    task = OneTask(pipeline)
    ((key, value, *_),) = task.feed([raw(7)]).written[REKEYED]
    assert (key, value) == (number(7), b'[7,"7"]')
    task.feed([Raw(REKEYED, key, value)])
    assert task.store("counts").get(7) == (1, 0)


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([Raw(REKEYED, None, b"?", 5, MARK_HEADERS)], r"by-digit.repartition\[2\]@102: no time mark of ours"),
        ([mark(2, 50, tasks=2)], "no time mark of ours"),
        (
            [Raw(REKEYED, None, b"\x81\xa6format\x02", 5, MARK_HEADERS)],
            "a time mark of format 2, this release reads up to 1",
        ),
        ([Raw(REKEYED, None, b"", 5, (("penstock.control", b"new"),))], "a control record of a kind that this release"),
        ([between(b"k", 1, 5, ("penstock.time", b"noon"))], "header penstock.time is no time"),
    ],
)
def test_what_somebody_else_wrote_into_the_topic_stops_the_worker(records: list[Raw], told: str) -> None:
    pipeline = Pipeline("p", on_error="dead_letter")
    digits(pipeline)
    with pytest.raises(OperatorMustDecide, match=told):
        OneTask(pipeline).feed([between(b"1", 1), *records])


def test_a_record_that_fails_behind_it_does_not_take_a_mark_with_it() -> None:
    """Marks are taken in their place when a batch is run again record by record."""
    pipeline = Pipeline("p", on_error="dead_letter")
    times: list[int] = []

    @processor()
    def fragile(record: Record[str, int], ctx: Context) -> list[Record[str, int]]:
        if record.value == 2:
            raise ValueError
        times.append(ctx.stream_time_ms)
        return [record]

    pipeline.stream(IN).key_by(str, name="by-digit").process(fragile).to(OUT)
    records = [between(b"1", 1), mark(0, 50), mark(1, 60), between(b"2", 2), between(b"3", 3), mark(0, 80)]
    seen = OneTask(pipeline).feed(records)
    assert times[-2:] == [NO_TIME_YET, 50]
    assert [dead[1] for dead in seen.dead] == [106]
    assert seen.stream_times_ms[REKEYED] == 60
    assert seen.records == 3


def test_a_stream_that_is_read_beside_it_holds_time_back_too_and_a_table_does_not() -> None:
    """However far the others are: what of it is still to come may be as old as the last one."""
    times: list[int] = []

    @processor()
    def look(record: Record[str, int], ctx: Context) -> list[Record[str, int]]:
        times.append(ctx.stream_time_ms)
        return [record]

    table = Topic("table", key=str, value=int64, config={"retention.ms": "-1"})
    pipeline = Pipeline("p")
    rekeyed = pipeline.stream(IN).key_by(str, name="by-digit")
    direct = pipeline.stream(Topic("direct", key=str, value=int64), timestamp=lambda n: n)
    both = rekeyed.merge(direct).process(look)
    both.left_join(pipeline.table(table, name="kept"), lambda n, _: n).to(OUT)

    def beside(topic: str, n: int) -> Raw:
        return Raw(topic, b"k", number(n), 900)

    OneTask(pipeline).feed(
        [
            mark(0, 50),
            mark(1, 60),
            between(b"1", 1),  # the direct stream was not heard yet
            beside("table", 1),
            beside("direct", 20),
            between(b"1", 2),
            beside("direct", 70),
            between(b"1", 3),
        ]
    )
    assert times == [NO_TIME_YET, 20, 20, 50, 50]


def test_a_topic_that_is_too_narrow_for_the_task_to_read_it_holds_nothing_back() -> None:
    pipeline = Pipeline("p")
    rekeyed = pipeline.stream(IN).key_by(str, name="by-digit")
    rekeyed.merge(pipeline.stream(Topic("direct", key=str, value=int64))).to(OUT)
    records = [mark(0, 50), mark(1, 60)]
    assert OneTask(pipeline).feed(records).stream_times_ms[REKEYED] is None
    assert OneTask(pipeline, narrow=["direct"]).feed(records).stream_times_ms[REKEYED] == 50
