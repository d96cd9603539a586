"""The law behind a repartition topic: cuts between records and time marks change nothing, for any operator."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.dsl.pipeline import Pipeline
from penstock.operators.repartition_records import MARK_HEADERS, TimeMark, encode_mark
from penstock.schemas.serdes import int64
from tests.unit.operators.one_task import OneTask, Raw, Seen
from tests.unit.operators.test_batch_law import FEW, INPUT, KEYS, NUMBERS, OPERATORS, RATES, TIMES, Build

BETWEEN = "law.between.repartition"
TASKS = 2


def mark(task: int, stream_time_ms: int) -> Raw:
    value = encode_mark(TimeMark(task=task, tasks=TASKS, stream_time_ms=stream_time_ms))
    return Raw(BETWEEN, None, value, 5, MARK_HEADERS)


HEADERS = st.sampled_from(
    [
        (("penstock.origin", b"input[0]@3"),),
        (("penstock.origin", b"input[1]@4"), ("penstock.time", b"12")),
        (("penstock.origin", b"input[1]@5"), ("penstock.time", b"3"), ("trace", b"1")),
    ]
)
RECORDS = st.lists(
    st.one_of(
        st.builds(Raw, st.just(BETWEEN), FEW, NUMBERS, TIMES, HEADERS),
        st.builds(Raw, st.just(BETWEEN), KEYS, NUMBERS | st.just(b"?"), TIMES, HEADERS),
        st.builds(mark, st.integers(0, TASKS - 1), st.integers(0, 40)),
        st.builds(mark, st.integers(0, TASKS - 1), st.integers(0, 40)),
        st.builds(Raw, st.just("input"), FEW, NUMBERS, TIMES),
        st.builds(Raw, st.just("rates"), FEW, NUMBERS, TIMES),
    ),
    min_size=2,
    max_size=24,
)


def run(build: Build, records: list[Raw], cuts: set[int] | range, *, is_mixed: bool) -> Seen:
    """The operator behind a repartition; mixed, it gets a stream that is read directly as well."""
    pipeline = Pipeline("law", on_error="dead_letter")
    stream = pipeline.stream(INPUT)
    between = stream.key_by(str, name="between", value=int64)
    if is_mixed:
        other = pipeline.stream(type(INPUT)("other", key=str, value=int64), timestamp=lambda n: n * 7 % 50)
        between = between.merge(other)
        records = [Raw("other", *_rest(each)) if each.topic == "input" else each for each in records]
    build(pipeline, between, pipeline.table(RATES, name="rates"))
    return OneTask(pipeline, everywhere={1: 10, 2: 20, 4: 40}).feed(records, cuts)


def _rest(raw: Raw) -> tuple[bytes | None, bytes | None, int]:
    return raw.key, raw.value, raw.timestamp_ms


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=40, deadline=None)
@given(records=RECORDS, cuts=st.sets(st.integers(1, 23)), is_mixed=st.booleans())
def test_any_cut_gives_what_batches_of_one_give(
    operator: str, records: list[Raw], cuts: set[int], is_mixed: bool
) -> None:
    by_one = run(OPERATORS[operator], records, range(len(records)), is_mixed=is_mixed)

    assert run(OPERATORS[operator], records, cuts, is_mixed=is_mixed) == by_one
    assert run(OPERATORS[operator], records, set(), is_mixed=is_mixed) == by_one
    assert by_one.records == sum(("penstock.control", b"stream-time") not in each.headers for each in records)
