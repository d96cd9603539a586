"""The law: however the input is cut, output, state, dead letters, counts and times are those of batches of one.

Held by each operator alone, and by compositions of them.

Values are numbers; some of them make every function here fail, some bytes are no number, some keys are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.deadletter.dead_letter import REDRIVE_GROUP
from penstock.dsl.pipeline import Pipeline
from penstock.dsl.stream import Stream, Table
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.record import Record
from penstock.schemas.serdes import int64
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from tests.unit.operators.one_task import OneTask, Raw, Seen

INPUT = Topic("input", key=str, value=int64)
RATES = Topic("rates", key=str, value=int64, config={"cleanup.policy": "compact"}, tombstones=True)
ONE = Topic("one", key=str, value=int64)
TWO = Topic("two", key=str, value=int64)
EVERYWHERE = Topic("everywhere", key=int64, value=int64, config={"retention.ms": "-1"})
SHARED = StoreSpec("shared", key=str, value=int)
OWN = StoreSpec("own", key=str, value=int)

Numbers = Stream[str, int]
Build = Callable[[Pipeline, Numbers, Table[str, int]], None]


class Poison(Exception):
    """A record's own fault."""


def checked(number: int) -> int:
    if number % 19 == 7:
        raise Poison
    return number % 1_000


def several(number: int) -> list[int]:
    return [checked(number) + i for i in range(number % 4)]


def present(number: int | None) -> list[int]:
    return [] if number is None else [number]


@processor()
def told(record: Record[str, int], ctx: Context) -> Iterator[Record[str, int]]:
    """Puts everything that the context says about the record into what it yields."""
    for place in range(record.value % 3):
        marks = (ctx.idempotency_key(), str(ctx.stream_time_ms), str(ctx.event_time_ms), str(ctx.offset))
        yield Record(
            key=record.key,
            value=checked(record.value + place),
            headers=(*record.headers, *((name, b"") for name in marks)),
            timestamp_ms=None if place else (record.timestamp_ms or 0) + 1,
        )


@processor(stores=[SHARED])
def shared(record: Record[str, int], ctx: Context) -> Iterator[Record[str, int]]:
    store = ctx.store(SHARED)
    known = store.get(record.key, 0)
    store.put(record.key, checked(known + record.value))
    if record.value % 5 == 0:
        store.delete(record.key)
    yield record.with_value(known + store.count())


@processor(stores=[OWN])
class Running:
    """Keeps a sum in its store, and fails only after it has changed it."""

    def process(self, record: Record[str, int], ctx: Context) -> Iterator[Record[str, int]]:
        store = ctx.store(OWN)
        total = store.get(record.key, 0) + record.value
        store.put(record.key, total % 1_000)
        checked(total)
        yield record.with_value(sum(number for _, number in store.scan()) % 1_000)


class Sum(msgspec.Struct):
    """Mutable, and mutated."""

    numbers: list[int] = msgspec.field(default_factory=list[int])


def mutate(total: Sum, number: int) -> Sum:
    total.numbers.append(checked(number))
    del total.numbers[:-3]
    return total


def aggregated(stream: Numbers, name: str = "sums") -> Numbers:
    return stream.aggregate(Sum, mutate, name=name).to_stream().map(lambda total: sum(total.numbers))


def by_branch(stream: Numbers) -> Numbers:
    big, small, rest = stream.branch(lambda n: checked(n) > 40, lambda n: n > 20)
    return rest.map(lambda n: n + 1).merge(small, big.map(lambda n: n - 1))


def fan_out(_: Pipeline, stream: Numbers, rates: Table[str, int]) -> None:
    stream.to(ONE)
    stream.flat_map(several).to(TWO)
    stream.map(lambda n: n * 2).to(ONE)
    stream.join(rates, lambda n, rate: n + rate).to(ONE)


def table_of_an_aggregate(_: Pipeline, stream: Numbers, rates: Table[str, int]) -> None:
    """The same records change the table and are joined with it: two nodes, one store."""
    before = stream.filter(lambda n: n % 2 == 0)
    counts = stream.flat_map(several).count(name="counts")
    before.left_join(counts, lambda n, seen: n + (seen or 0)).merge(counts.to_stream()).to(ONE)
    rates.to(TWO)


def two_users_of_one_store(_: Pipeline, stream: Numbers, rates: Table[str, int]) -> None:
    first = stream.process(shared, name="first").map(lambda n: n + 1)
    first.merge(stream).process(shared, name="second").to(ONE)
    rates.to(TWO)


def rekeyed(stream: Numbers, rates: Table[str, int]) -> None:
    stream.count(name="behind").to(ONE)
    rates.to(TWO)


def by_name(pipeline: Pipeline, stream: Numbers, rates: Table[str, int], *, is_left: bool) -> None:
    everywhere = pipeline.global_table(EVERYWHERE, name="everywhere")
    join = stream.left_join if is_left else stream.join
    join(everywhere, lambda n, m: n + (m or 0), on=lambda n: checked(n) % 7 or None).to(ONE)
    rates.to(TWO)


def alone(build: Callable[[Numbers], Numbers]) -> Build:
    def whole(_: Pipeline, stream: Numbers, rates: Table[str, int]) -> None:
        build(stream).to(ONE)
        rates.to(TWO)

    return whole


OPERATORS: dict[str, Build] = {
    "filter": alone(lambda s: s.filter(lambda n: checked(n) % 2)),
    "map": alone(lambda s: s.map(checked)),
    "flat_map": alone(lambda s: s.flat_map(several)),
    "tap": alone(lambda s: s.tap(checked)),
    "branch and merge": alone(by_branch),
    "merge with itself": alone(lambda s: s.merge(s, s.map(checked))),
    "process": alone(lambda s: s.process(told)),
    "process with a store": alone(lambda s: s.process(Running)),
    "process twice": alone(lambda s: s.process(told).process(told, name="again")),
    "aggregate": alone(aggregated),
    "reduce": alone(lambda s: s.reduce(lambda a, b: checked(a + b), name="sum").to_stream()),
    "count": alone(lambda s: s.flat_map(several).count(name="count").to_stream()),
    "join": lambda _, s, rates: s.join(rates, lambda n, rate: checked(n + rate)).to(ONE),
    "left_join": lambda _, s, rates: s.left_join(rates, lambda n, rate: checked(n + (rate or 0))).to(ONE),
    "table": lambda _, s, rates: s.merge(rates.to_stream()).to(ONE),
    "several sinks to one topic": fan_out,
    "a table of an aggregate": table_of_an_aggregate,
    "two users of one store": two_users_of_one_store,
    "key_by": lambda _, s, rates: rekeyed(s.key_by(lambda n: str(checked(n)), name="rekeyed", value=int64), rates),
    "repartition": lambda _, s, rates: rekeyed(s.process(told).repartition(name="r", key=str, value=int64), rates),
    "global join": lambda p, s, rates: by_name(p, s, rates, is_left=False),
    "global left join": lambda p, s, rates: by_name(p, s, rates, is_left=True),
}

# ---------------------------------------------------------------- input

NUMBERS = st.integers(0, 60).map(lambda n: n.to_bytes(8, "big"))
KEYS = st.sampled_from([b"a", b"b", b"c", b"a", b"b", None, b"\xff"])
HEADERS = st.sampled_from(
    [
        (),
        (),
        (("trace", b"1"),),
        (("penstock.secret", b"2"), ("trace", None)),
        (("trace", b"3"), (REDRIVE_GROUP, b"law")),
        ((REDRIVE_GROUP, b"another"),),
    ]
)
FEW = st.sampled_from([b"a", b"b"])
TIMES = st.integers(0, 9)
RECORDS = st.lists(
    st.one_of(
        st.builds(Raw, st.just("input"), FEW, NUMBERS, TIMES),
        st.builds(Raw, st.just("input"), FEW, NUMBERS, TIMES),
        st.builds(Raw, st.just("rates"), FEW, NUMBERS, TIMES),
        st.builds(Raw, st.just("input"), KEYS, NUMBERS | st.just(b"?"), TIMES, HEADERS),
        st.builds(Raw, st.just("rates"), KEYS, NUMBERS | st.none(), TIMES, HEADERS),
    ),
    min_size=2,
    max_size=24,
)
CUTS = st.sets(st.integers(1, 23))


def run(build: Build, records: list[Raw], cuts: set[int] | range) -> Seen:
    pipeline = Pipeline("law", on_error="dead_letter")
    # Event time runs back and forth, and the functions fail on some of it.
    stream = pipeline.stream(INPUT, timestamp=lambda n: checked(n) * 7 % 50)
    build(pipeline, stream, pipeline.table(RATES, name="rates"))
    return OneTask(pipeline, everywhere={1: 10, 2: 20, 4: 40}).feed(records, cuts)


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=80, deadline=None)
@given(records=RECORDS, cuts=CUTS)
def test_any_cut_gives_what_batches_of_one_give(operator: str, records: list[Raw], cuts: set[int]) -> None:
    by_one = run(OPERATORS[operator], records, range(len(records)))

    assert run(OPERATORS[operator], records, cuts) == by_one
    assert run(OPERATORS[operator], records, set()) == by_one
    assert by_one.records == len(records)


# ---------------------------------------------------------------- compositions

STEPS: tuple[Callable[[Numbers, Numbers, Table[str, int], str], Numbers], ...] = (
    lambda s, _o, _t, _n: s.filter(lambda n: n % 3),
    lambda s, _o, _t, _n: s.map(checked),
    lambda s, _o, _t, _n: s.flat_map(several),
    lambda s, o, _t, _n: s.merge(o),
    lambda s, o, _t, _n: o.merge(s, s),
    lambda s, _o, _t, _n: by_branch(s),
    lambda s, _o, _t, _n: s.process(told),
    lambda s, _o, _t, _n: s.process(shared),
    lambda s, _o, _t, _n: s.process(Running),
    lambda s, _o, _t, name: aggregated(s, name),
    lambda s, _o, _t, name: s.count(name=name).to_stream(),
    lambda s, _o, _t, name: s.reduce(lambda a, b: checked(a + b), name=name, value=int).to_stream(),
    lambda s, o, _t, name: s.join(o.count(name=name), lambda n, seen: n + seen),
    lambda s, _o, table, _n: s.left_join(table, lambda n, rate: n + (rate or 0)),
)
PLANS = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6
)


def composed(plan: list[tuple[int, int, int]]) -> Build:
    """Each step takes two of the streams there are and adds one; those that nothing takes are written."""

    def build(_: Pipeline, stream: Numbers, rates: Table[str, int]) -> None:
        streams = [stream, rates.to_stream().flat_map(present)]
        for (step, first, second), number in zip(plan, count(), strict=False):
            one, other = streams[-1 - first % len(streams)], streams[second % len(streams)]
            streams.append(STEPS[step](one, other, rates, f"table-{number}"))
        for number, each in enumerate(streams):
            each.to((ONE, TWO)[number % 2])

    return build


@settings(max_examples=250, deadline=None)
@given(plan=PLANS, records=RECORDS, cuts=CUTS)
def test_compositions_keep_the_law(plan: list[tuple[int, int, int]], records: list[Raw], cuts: set[int]) -> None:
    by_one = run(composed(plan), records, range(len(records)))

    assert run(composed(plan), records, cuts) == by_one
