"""Everything that is wrong with a graph is told at once, and says what to do."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ExitCode
from penstock.operators.aggregate import Aggregate
from penstock.operators.context import Context
from penstock.operators.map import Map
from penstock.operators.process import processor
from penstock.operators.to import To
from penstock.record import Record
from penstock.schemas.serdes import int64, json
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from penstock.topology.node import Node, Port, Source
from penstock.topology.topology import Topology, TopologyError

TEXT = Topic("text", key=str, value=str)
NUMBERS = Topic("numbers", key=int64, value=str)
OUT = Topic("out", key=str, value=str)
COMPACTED = Topic("compacted", key=str, value=str, config={"cleanup.policy": "compact"}, tombstones=True)


def problems_of(pipeline: Pipeline) -> tuple[str, ...]:
    with pytest.raises(TopologyError) as failed:
        pipeline.topology()
    return failed.value.problems


def test_a_good_graph_has_none() -> None:
    pipeline = Pipeline("good")
    pipeline.stream(TEXT).to(OUT)
    assert list(pipeline.topology().groups) == ["text"]


def test_all_problems_are_told_at_once() -> None:
    pipeline = Pipeline("Bad")
    stream = pipeline.stream(TEXT)
    stream.map(len)
    stream.to(TEXT)
    pipeline.stream(Topic("0", key=str, value=str)).to(OUT, name="to-text")

    with pytest.raises(TopologyError) as failed:
        pipeline.topology()

    assert failed.value.exit_code is ExitCode.CONFIGURATION
    rule = "use lower-case letters, digits and dashes, a letter first, 63 at most"
    assert str(failed.value).splitlines() == [
        "pipeline 'Bad': 4 problems",
        f"  - the pipeline's name 'Bad': {rule}",
        f"  - the name '0' of a source: {rule}; give another by name=",
        "  - 'to-text-2' writes to topic 'text', which this pipeline reads: an endless loop",
        "  - 'map-len' (map) goes nowhere; end it with to(topic), or take it out",
    ]


def test_an_empty_pipeline_reads_nothing() -> None:
    assert problems_of(Pipeline("empty")) == ("it reads nothing; begin with stream(topic) or table(topic, name=...)",)


def test_two_nodes_of_one_name() -> None:
    pipeline = Pipeline("twice")
    stream = pipeline.stream(TEXT)
    stream.map(str.upper, name="same").to(OUT)
    stream.filter(bool, name="same").to(OUT)
    (told,) = problems_of(pipeline)
    assert told == "2 nodes are named 'same' (map and filter); give each a name= of its own"


def test_sources_are_never_numbered() -> None:
    """Their names become part of the changelog's: a number would move with the lines of the code."""
    pipeline = Pipeline("sources")
    pipeline.stream(Topic("a.b", key=str, value=str)).to(OUT)
    pipeline.stream(Topic("a_b", key=str, value=str)).to(OUT)
    (told,) = problems_of(pipeline)
    assert told.startswith("2 nodes are named 'a-b' (source and source)")


def test_a_topic_is_read_once() -> None:
    pipeline = Pipeline("twice")
    pipeline.stream(COMPACTED).join(pipeline.table(COMPACTED, name="table"), max).to(OUT)
    (told,) = problems_of(pipeline)
    assert told.startswith("topic 'compacted' is read by 'compacted' and by 'table'; read it once")


def test_a_store_that_is_declared_twice_must_be_the_same() -> None:
    @processor(stores=[StoreSpec("kept", key=str, value=int)])
    def one(record: Record[str, str], _: Context) -> list[Record[str, str]]:
        return [record]

    @processor(stores=[StoreSpec("kept", key=str, value=str)])
    def two(record: Record[str, str], _: Context) -> list[Record[str, str]]:
        return [record]

    pipeline = Pipeline("stores")
    stream = pipeline.stream(TEXT)
    stream.process(one)
    stream.process(two)
    (told,) = problems_of(pipeline)
    assert told.startswith("store 'kept' is declared differently by 'one' and by 'two'; use one StoreSpec")


@pytest.mark.parametrize(
    ("config", "tombstones", "told"),
    [
        ({}, False, "neither compacted nor kept for ever"),
        ({"cleanup.policy": "delete", "retention.ms": "604800000"}, True, "neither compacted nor kept for ever"),
        ({"cleanup.policy": "compact"}, False, "declare it with tombstones=True"),
        ({"cleanup.policy": "compact, delete"}, False, "declare it with tombstones=True"),
        ({"cleanup.policy": "compact"}, True, None),
        ({"retention.ms": "-1"}, False, None),
    ],
)
def test_the_topic_of_a_table_keeps_its_keys(config: dict[str, str], tombstones: bool, told: str | None) -> None:
    pipeline = Pipeline("tables")
    table = pipeline.table(Topic("t", key=str, value=str, config=config, tombstones=tombstones), name="table")
    pipeline.stream(TEXT).join(table, max).to(OUT)
    if told is None:
        assert pipeline.topology().stores.keys() == {"table"}
    else:
        (problem,) = problems_of(pipeline)
        assert told in problem


def test_an_unused_table_and_an_unused_way_go_nowhere() -> None:
    pipeline = Pipeline("unused")
    pipeline.table(COMPACTED, name="table")
    _, second, _ = pipeline.stream(TEXT).branch(bool, str.isupper, name="ways")
    second.to(OUT)
    assert problems_of(pipeline) == (
        "table 'table' is used by nothing; join a stream with it, or take it out",
        "way 0 of branch 'ways' goes nowhere; end it with to(topic), or use filter",
    )


def test_keys_of_different_form_never_meet() -> None:
    pipeline = Pipeline("keys")
    table = pipeline.table(Topic("t", key=int64, value=str, config={"retention.ms": "-1"}), name="table")
    pipeline.stream(TEXT).join(table, max, name="join").to(OUT)  # type: ignore[arg-type]  # told at run time as well
    merged = pipeline.stream(Topic("more", key=str, value=str)).merge(pipeline.stream(NUMBERS))  # type: ignore[arg-type]
    merged.count(name="counts")
    first, second = problems_of(pipeline)
    assert first.startswith("'join' (join) brings together keys of different form: 64-bit integer and UTF-8 text")
    assert second.startswith("'counts' (count) brings together keys of different form: 64-bit integer and UTF-8 text")


def test_what_a_store_cannot_hold_is_told_with_its_name() -> None:
    pipeline = Pipeline("stores")
    keyed = Topic("keyed", key=json(), value=str)
    pipeline.stream(keyed).count(name="any-key")
    stream = pipeline.stream(TEXT)
    stream.map(len).reduce(max, name="unknown").to_stream().tap(print)
    stream.count(name="Wrong")
    told = problems_of(pipeline)
    assert told[0].startswith("store 'any-key': its key type is none of str, bytes, int")
    assert told[1].startswith("table 'unknown': what type its values have cannot be told from the stream; say it by va")
    assert told[2].startswith("store name 'Wrong'")


def test_pipelines_share_nothing_but_topics() -> None:
    other = Pipeline("other")
    table = other.table(COMPACTED, name="table")
    pipeline = Pipeline("mine")
    pipeline.stream(TEXT).merge(other.stream(TEXT)).join(table, max).to(OUT)
    told = problems_of(pipeline)
    assert told[:2] == tuple(
        f"{what} with a stream or table of another pipeline; they share nothing but topics"
        for what in ("merge", "join")
    )


def test_what_is_no_processor() -> None:
    pipeline = Pipeline("processing")
    pipeline.stream(TEXT).process("text").to(OUT)  # type: ignore[call-overload]  # on purpose
    assert problems_of(pipeline) == ("'str': a str is no processor: no function (record, ctx), no method process",)


def test_a_graph_made_by_hand_is_checked_as_well() -> None:
    nodes = (
        Node("map", Map(str.upper), (Port("text"),)),
        Node("text", Source(TEXT)),
        Node("sums", Aggregate(None, str, max), (), tables=("nothing",)),
        Node("to", To(OUT), (Port("text", 3),)),
    )
    with pytest.raises(TopologyError) as failed:
        Topology("by-hand", nodes)
    assert failed.value.problems == (
        "'map' takes records from 'text', which is not in this pipeline before it",
        "'sums' takes its records from nowhere",
        "'sums' looks things up in 'nothing', which is not in this pipeline before it",
        "'to' takes records from way 3 of 'text', which has 1",
        "'map' (map) goes nowhere; end it with to(topic), or take it out",
    )
