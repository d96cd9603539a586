"""Where the graph is cut, what the topic in between holds, and what cannot be told or cannot work."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.dsl.stream import Stream
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.record import Record
from penstock.schemas.serdes import int64, int_text, json
from penstock.schemas.topic import Topic
from penstock.topology.topology import TopologyError
from penstock.topology.type_names import serde_name

TEXT = Topic("text", key=str, value=str)
PAIRS = Topic("pairs", key=bytes, value=json(tuple[str, int]))
OUT = Topic("out", key=str, value=str)
NAMES = Topic("names", key=str, value=str, config={"cleanup.policy": "compact"}, tombstones=True)


def problems_of(pipeline: Pipeline) -> tuple[str, ...]:
    with pytest.raises(TopologyError) as failed:
        pipeline.topology()
    return failed.value.problems


def first(text: str) -> str:
    return text[0]


def length(text: str) -> int:
    return len(text)


def test_key_by_ends_one_group_and_begins_the_next_which_reads_its_topic() -> None:
    pipeline = Pipeline("p")
    pipeline.stream(TEXT).key_by(first, name="by-letter").count(name="counts").to_stream().map(str).to(OUT)
    groups = pipeline.topology().groups
    assert {name: [node.name for node in group.nodes] for name, group in groups.items()} == {
        "text": ["text", "by-letter"],
        "by-letter": ["counts", "map-str", "to-out"],
    }
    front, behind = groups.values()
    assert ([t.name for t in front.input_topics], [t.name for t in front.sink_topics]) == (
        ["text"],
        ["p.by-letter.repartition"],
    )
    assert [t.name for t in behind.input_topics] == ["p.by-letter.repartition"]
    assert (front.has_changelog, behind.has_changelog) == (False, True)


def test_a_group_behind_a_repartition_remembers_upstream_time_even_without_stores() -> None:
    pipeline = Pipeline("p")
    pipeline.stream(TEXT).repartition(3, name="wide").to(OUT)
    behind = pipeline.topology().groups["wide"]
    assert (behind.stores, behind.has_changelog) == ((), True)


def topic_of(stream: Stream[str, str]) -> Topic[object, object]:
    (node,) = [node for node in stream.origin.drafts.nodes() if node.operation.is_cut]
    topic = node.operation.writes
    assert topic is not None
    return topic


def test_the_topic_holds_what_the_stream_tells() -> None:
    plain = topic_of(Pipeline("p").stream(TEXT).filter(bool).key_by(first, name="n"))
    assert (plain.name, plain.key, plain.value, plain.partitions) == ("p.n.repartition", TEXT.key, TEXT.value, None)
    assert plain.tombstones, "a deleted key travels too"
    moved = topic_of(Pipeline("p").stream(PAIRS).repartition(5, name="n"))  # type: ignore[arg-type]  # only looked at
    assert (moved.key, moved.value, moved.partitions) == (PAIRS.key, PAIRS.value, 5)
    counted = Pipeline("p").stream(TEXT).aggregate(str, max, name="longest").to_stream()
    assert topic_of(counted.key_by(first, name="n")).value == TEXT.value


def test_what_cannot_be_told_is_asked_for_with_the_choice() -> None:
    pipeline = Pipeline("p")
    text = pipeline.stream(TEXT)
    text.key_by(length, name="by-length").to(OUT)  # type: ignore[arg-type]  # told at run time as well
    text.key_by(len, name="bare", key=int).count(name="n")
    text.map(length).key_by(str, name="mapped").to(OUT)  # type: ignore[arg-type]  # only the message counts
    text.count(name="counts").to_stream().key_by(str, name="counted").to(OUT)  # type: ignore[arg-type]  # as above
    text.process(same).repartition(name="processed", value=str).to(OUT)
    choice = (
        "int can be written in several ways: int64 (8 bytes, as Java's LongSerializer does), int_text (decimal "
        'digits), or avro(schema=\'{"type":"long"}\'); name one'
    )
    untold = "cannot be told from the stream; say it by {0}=, a class or a serde as for a Topic"
    assert problems_of(pipeline) == (
        f"'by-length': its function gives keys of type int; say it by key=: {choice}",
        f"'bare': {choice}",
        f"'mapped': what its values are {untold.format('value')}",
        f"'counted': {choice}",
        f"'processed': what its keys are {untold.format('key')}",
    )


@processor()
def same(record: Record[str, str], _: Context) -> list[Record[str, str]]:
    return [record]


def test_a_function_without_annotation_gives_text() -> None:
    assert topic_of(Pipeline("p").stream(TEXT).key_by(lambda text: text[0], name="n")).key is TEXT.key
    assert topic_of(Pipeline("p").stream(TEXT).key_by(str.upper, name="n")).key is TEXT.key


def pair(text: str) -> tuple[str, int]:
    return text, 1


def test_an_annotation_that_names_no_class_asks_how_it_is_written() -> None:
    pipeline = Pipeline("p")
    pipeline.stream(TEXT).key_by(pair, name="by-pair").to(OUT)  # type: ignore[arg-type]  # as above
    (told,) = problems_of(pipeline)
    assert told == "'by-pair': its function gives keys of type tuple[str, int]; say by key= how these are written"


def test_numbers_and_pairs_are_keys_where_their_serde_is_named() -> None:
    pipeline = Pipeline("p")
    text = pipeline.stream(TEXT)
    text.key_by(length, name="by-length", key=int_text).count(name="by-number")
    text.key_by(pair, name="by-pair", key=json(tuple[str, int])).count(name="by-both")
    assert {name: spec.key for name, spec in pipeline.topology().stores.items()} == {
        "by-number": int,
        "by-both": tuple[str, int],
    }


def test_tables_behind_a_repartition_must_have_as_many_partitions_and_the_same_form_of_key() -> None:
    pipeline = Pipeline("p")
    names = pipeline.table(NAMES, name="names-by-letter")
    text = pipeline.stream(TEXT)
    text.key_by(first, name="by-letter").join(names, max).to(OUT)
    group = pipeline.topology().groups["by-letter"]
    assert group.copartitioned == ("names", "p.by-letter.repartition")

    text.key_by(length, name="by-length", key=int64).join(names, max, name="join").to(OUT)  # type: ignore[arg-type]
    (told,) = problems_of(pipeline)
    assert told.startswith("'join' (join) brings together keys of different form: 64-bit integer and UTF-8 text")


def test_an_aggregate_behind_one_repartition_can_be_joined_by_what_comes_through_another() -> None:
    pipeline = Pipeline("p")
    text = pipeline.stream(TEXT)
    counts = text.key_by(first, name="by-letter").count(name="counts")
    text.filter(str.isupper).key_by(first, name="upper").left_join(counts, lambda text, n: f"{text}{n}").to(OUT)
    groups = pipeline.topology().groups
    assert list(groups) == ["text", "by-letter"]
    assert [node.name for node in groups["by-letter"].inputs] == ["by-letter", "upper"]


def test_records_may_not_lead_back_into_their_own_group() -> None:
    """Stream time would wait for itself, through one cut or through two."""
    pipeline = Pipeline("p")
    text = pipeline.stream(TEXT)
    counts = text.count(name="counts")
    text.repartition(name="back").join(counts, lambda text, _: text).to(OUT)
    (told,) = problems_of(pipeline)
    assert told.startswith("what stands behind 'back' uses a table or store of what stands before it")

    longer = Pipeline("p")
    text = longer.stream(TEXT)
    counts = text.count(name="counts")
    away = text.key_by(first, name="away")
    away.repartition(name="back").join(counts, lambda text, _: text).to(OUT)
    away.key_by(first, name="further").to(OUT)
    assert [told.split("'")[1] for told in problems_of(longer)] == ["back", "away"]


def test_a_repartition_that_nothing_reads_is_told() -> None:
    pipeline = Pipeline("p")
    pipeline.stream(TEXT).key_by(first, name="by-letter")
    assert problems_of(pipeline) == ("'by-letter' (key-by) goes nowhere; end it with to(topic), or take it out",)


def test_a_global_table_belongs_to_no_group_and_keeps_none_together() -> None:
    pipeline = Pipeline("p")
    names = pipeline.global_table(NAMES, name="everywhere")
    for name in ("a", "b"):
        stream = pipeline.stream(Topic(name, key=int64, value=str))
        stream.left_join(names, lambda text, name: f"{text}{name}", on=first).to(
            Topic(f"{name}-out", key=int64, value=str)
        )
    topology = pipeline.topology()
    assert list(topology.groups) == ["a", "b"]
    for group in topology.groups.values():
        assert [node.name for node in group.global_tables] == ["everywhere"]
        assert "names" not in {topic.name for topic in group.input_topics}
        assert (group.copartitioned, group.has_changelog) == ((), False)


def test_a_global_table_has_the_rules_of_a_table() -> None:
    pipeline = Pipeline("p")
    pipeline.global_table(Topic("short", key=str, value=str), name="everywhere")
    pipeline.stream(TEXT).to(OUT)
    assert problems_of(pipeline) == (
        (
            "table 'everywhere': topic 'short' is declared neither compacted nor kept for ever, so old keys would be "
            "missing; declare it with config={'cleanup.policy': 'compact'} or {'retention.ms': '-1'}"
        ),
        "table 'everywhere' is used by nothing; join a stream with it, or take it out",
    )


def test_a_join_with_a_global_table_says_on_what() -> None:
    pipeline = Pipeline("p")
    names = pipeline.global_table(NAMES, name="everywhere")
    pipeline.stream(TEXT).join(names, max).to(OUT)  # type: ignore[call-overload]  # told at run time as well
    assert problems_of(pipeline) == ("a join with a global table says by on= which of its keys a value belongs to",)


def test_a_pipeline_of_a_global_table_alone_reads_nothing() -> None:
    pipeline = Pipeline("p")
    pipeline.global_table(NAMES, name="everywhere")
    assert problems_of(pipeline)[0].startswith("it reads nothing")


def test_serdes_are_named_in_descriptions() -> None:
    topic = topic_of(Pipeline("p").stream(TEXT).key_by(length, name="n", key=int64))  # type: ignore[arg-type]
    assert serde_name(topic.key) == "64-bit integer"
