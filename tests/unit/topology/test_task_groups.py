"""What runs together, and where the graph is cut."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.dsl.pipeline import Pipeline
from penstock.operators.context import Context
from penstock.operators.map import Map
from penstock.operators.process import processor
from penstock.operators.to import To
from penstock.record import Record
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from penstock.topology.node import Node, Operation, Port, Source
from penstock.topology.topology import Topology
from tests.unit.topology.flights import build

OUT = Topic("out", key=str, value=str)


def topic(name: str) -> Topic[str, str]:
    return Topic(name, key=str, value=str, config={"retention.ms": "-1"})


def test_a_group_is_named_after_its_first_stream_and_reads_tables_first() -> None:
    group, *behind = build().topology().groups.values()
    assert (group.name, [each.name for each in behind]) == ("flights", ["by-airline", "wide"])
    assert [each.name for each in group.source_topics] == ["planes", "flights"]
    assert [each.name for each in group.sink_topics] == [
        "late-flights",
        "flight.counts",
        "flight-status.by-airline.repartition",
        "flight-status.wide.repartition",
    ]
    assert [each.name for each in group.stores] == ["planes-by-tail", "last-flight", "flights-by-tail"]
    assert group.copartitioned == ("planes", "flights")
    assert {node.name: group.policy(node) for node in group.nodes if group.policy(node) == "fail"} == {"link": "fail"}


def test_what_nothing_connects_runs_apart() -> None:
    pipeline = Pipeline("apart")
    pipeline.stream(topic("a")).to(OUT)
    pipeline.table(topic("b"), name="b-by-key").to(OUT)
    groups = pipeline.topology().groups
    assert {name: [node.name for node in group.nodes] for name, group in groups.items()} == {
        "a": ["a", "to-out"],
        "b-by-key": ["b-by-key", "to-out-2"],
    }
    assert [group.copartitioned for group in groups.values()] == [(), ()]


def test_streams_that_are_only_merged_need_not_be_copartitioned() -> None:
    pipeline = Pipeline("merged")
    pipeline.stream(topic("a")).merge(pipeline.stream(topic("b"))).to(OUT)
    (group,) = pipeline.topology().groups.values()
    assert (group.name, group.copartitioned) == ("a", ())


def test_a_shared_store_keeps_two_streams_together() -> None:
    @processor(stores=[StoreSpec("seen", key=str, value=int)])
    def note(record: Record[str, str], _: Context) -> list[Record[str, str]]:
        return [record]

    pipeline = Pipeline("sharing")
    pipeline.stream(topic("a")).process(note)
    pipeline.stream(topic("b")).process(note)
    (group,) = pipeline.topology().groups.values()
    assert [node.name for node in group.nodes] == ["a", "note", "b", "note-2"]


@dataclass(frozen=True, slots=True, eq=False)
class Cut(Operation):
    """A repartition as the graph sees it."""

    kind = "cut"
    is_end = True
    is_cut = True


def test_a_cut_ends_one_group_and_begins_the_next() -> None:
    """Everything behind it reads one topic, so it is one group even where only the cut connects it."""
    nodes = (
        Node("a", Source(topic("a"))),
        Node("by-carrier", Cut(), (Port("a"),)),
        Node("map", Map(str.upper), (Port("by-carrier"),)),
        Node("to", To(OUT), (Port("map"),)),
        Node("to-too", To(OUT), (Port("by-carrier"),)),
    )
    groups = Topology("cutting", nodes).groups
    assert {name: [node.name for node in group.nodes] for name, group in groups.items()} == {
        "a": ["a", "by-carrier"],
        "by-carrier": ["map", "to", "to-too"],
    }
    assert [node.name for node in groups["by-carrier"].inputs] == ["by-carrier"]
    assert groups["by-carrier"].sources == ()
