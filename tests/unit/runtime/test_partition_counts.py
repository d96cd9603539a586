"""How many partitions and tasks there are, and what is refused, with the way out."""

from __future__ import annotations

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.partition_counts import PartitionCounts
from penstock.schemas.topic import Topic
from penstock.topology.topology import Topology

FLIGHTS = Topic("flights", key=str, value=str)
DELAYS = Topic("delays", key=str, value=str)
OUT = Topic("out", key=str, value=str)
COMPACTED = {"cleanup.policy": "compact"}
PLANES = Topic("planes", key=str, value=str, config=COMPACTED, tombstones=True)
AIRPORTS = Topic("airports", key=str, value=str, config=COMPACTED, tombstones=True)


def counts(topology: Topology, prefix: str = "", **there: int) -> dict[str, int]:
    """{group: tasks}."""
    found = PartitionCounts(topology, {name.replace("__", "."): count for name, count in there.items()}, prefix)
    return {name: found.tasks(group) for name, group in topology.groups.items()}


def problems(topology: Topology, **there: int) -> list[str]:
    return list(PartitionCounts(topology, {n.replace("__", "."): count for n, count in there.items()}, "").problems())


def chain(first: int | None = None, second: int | None = None) -> Topology:
    """A table first, whose group comes first in the graph and last in the flow."""
    pipeline = Pipeline("p")
    planes = pipeline.table(PLANES, name="planes-by-tail")
    one = pipeline.stream(FLIGHTS).key_by(lambda value: value, name="one", partitions=first)
    one.repartition(second, name="two").join(planes, max).to(OUT)
    return pipeline.topology()


def test_a_repartition_topic_is_as_wide_as_what_writes_it_unless_it_says_otherwise() -> None:
    assert counts(chain(), flights=6, planes=6) == {"two": 6, "flights": 6, "one": 6}
    assert counts(chain(first=3, second=5), flights=6, planes=5) == {"two": 5, "flights": 6, "one": 3}
    assert counts(chain(first=3), flights=6, planes=1) == {"two": 3, "flights": 6, "one": 3}


def test_one_that_is_there_stays_as_it_is_when_the_input_is_given_more_partitions() -> None:
    assert counts(chain(), flights=12, planes=6, p__one__repartition=6) == {"two": 6, "flights": 12, "one": 6}
    named = {"flights": 12, "planes": 6, "lab__p__one__repartition": 4}
    assert counts(chain(), prefix="lab.", **named) == {"two": 6, "flights": 12, "one": 4}


def test_what_must_meet_and_does_not_is_refused_with_the_way_out() -> None:
    (told,) = problems(chain(), flights=6, planes=4)
    assert told == (
        "records of one key must meet in one task, so these topics need equally many partitions: 'planes' has 4, "
        "'p.two.repartition' has 6; say partitions=4 at 'two'"
    )


def test_a_stream_beside_a_table_is_told_to_go_through_a_repartition() -> None:
    pipeline = Pipeline("p")
    pipeline.stream(FLIGHTS).join(pipeline.table(PLANES, name="planes-by-tail"), max).to(OUT)
    (told,) = problems(pipeline.topology(), flights=6, planes=4)
    assert told.endswith("'planes' has 4, 'flights' has 6; put .repartition(4, name=...) behind the stream 'flights'")
    assert problems(pipeline.topology(), flights=4, planes=4) == []


def test_tables_that_differ_cannot_be_helped_by_a_repartition() -> None:
    pipeline = Pipeline("p")
    planes, airports = pipeline.table(PLANES, name="planes"), pipeline.table(AIRPORTS, name="airports")
    pipeline.stream(FLIGHTS).join(planes, max).join(airports, max).to(OUT)
    (told,) = problems(pipeline.topology(), flights=6, planes=4, airports=6)
    assert told.endswith("publish one of the tables anew into a topic with as many as the other")


def test_two_repartitions_that_meet_are_told_to_say_the_same() -> None:
    pipeline = Pipeline("p")
    sums = pipeline.stream(FLIGHTS).repartition(3, name="left").count(name="counts")
    pipeline.stream(DELAYS).repartition(name="right").left_join(sums, lambda value, _: value).to(OUT)
    (told,) = problems(pipeline.topology(), flights=6, delays=6)
    assert told.endswith("'p.left.repartition' has 3, 'p.right.repartition' has 6; say partitions=6 at 'left'")


def test_another_number_than_is_there_is_refused() -> None:
    (told,) = problems(chain(first=3), flights=6, planes=8, p__one__repartition=8)[:1]
    assert told.startswith("records of one key")
    (told,) = problems(chain(first=3), flights=6, planes=3, p__one__repartition=8)
    assert told == (
        "repartition topic 'p.one.repartition' has 8 partitions and 'one' says 3: keys would move away from their "
        "state. Say partitions=8, or give the step another name=, which begins its state anew"
    )
