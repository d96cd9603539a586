"""Steps without a name get one that says what they do."""

from __future__ import annotations

from functools import partial

from penstock.dsl.pipeline import Pipeline
from penstock.operators.context import Context
from penstock.record import Record
from penstock.schemas.topic import Topic

IN = Topic("Flights.of_2013", key=str, value=str)
OUT = Topic("out", key=str, value=str)


class HalfDone:
    def process(self, record: Record[str, str], ctx: Context) -> list[Record[str, str]]:
        return [record] if ctx.offset % 2 else []


def _shout_out(value: str) -> str:
    return value.upper()


def test_names_are_made_of_kinds_and_functions_and_never_taken_twice() -> None:
    pipeline = Pipeline("names")
    stream = pipeline.stream(IN).map(_shout_out).map(_shout_out).filter(lambda v: v).filter(partial(str.isupper))
    stream.process(HalfDone).process(HalfDone()).map(str.lower, name="filter").merge(stream).to(OUT)

    assert [node.name for node in pipeline.topology().nodes] == [
        "flights-of-2013",
        "map-shout-out",
        "map-shout-out-2",
        "filter-2",
        "filter-partial",
        "half-done",
        "half-done-2",
        "filter",
        "merge",
        "to-out",
    ]


def test_a_pipeline_can_be_looked_at_while_it_is_built() -> None:
    """A topology is what the pipeline was then; it does not change with it."""
    pipeline = Pipeline("growing")
    stream = pipeline.stream(IN)
    stream.to(OUT)
    before = pipeline.topology()
    stream.map(str.upper).to(OUT)

    assert len(before.nodes) == 2
    assert len(pipeline.topology().nodes) == 4
    assert before.fingerprint != pipeline.topology().fingerprint
