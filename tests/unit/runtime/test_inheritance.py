"""What a task goes on with after a deploy: by what the offsets and the changelog say, and who made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide
from penstock.kafka.consumer import Committed
from penstock.runtime.deployment_log import History
from penstock.runtime.inheritance import Inheritance, Inherited
from penstock.runtime.lineage import Lineage
from penstock.runtime.merge import Partition
from penstock.runtime.task import TaskId
from penstock.schemas.serdes import int64
from penstock.schemas.topic import Topic
from penstock.state.commit_record import CommitRecord
from penstock.state.offset_metadata import OffsetMetadata
from penstock.topology.deployment import Deployment, DeploymentRecord, deployment_of

IN, MORE = Topic("in", key=str, value=str), Topic("more", key=str, value=str)
OUT = Topic("out", key=str, value=int64)
NAMES = Topic("names", key=str, value=str, config={"cleanup.policy": "compact"}, tombstones=True)
OTHER_NAMES = Topic("other-names", key=str, value=str, config={"cleanup.policy": "compact"}, tombstones=True)

FIRST = 3
"""Where every topic begins for a group that never read it."""


def deployed(build: Callable[[Pipeline], object]) -> Deployment:
    pipeline = Pipeline("p")
    build(pipeline)
    return deployment_of(pipeline.topology(), {})


def with_table(topic: Topic[str, str]) -> Callable[[Pipeline], object]:
    def build(p: Pipeline) -> None:
        names = p.table(topic, name="names")
        p.stream(IN).join(names, str.__add__, name="label").count(name="counts").to(OUT)

    return build


STATELESS = deployed(lambda p: p.stream(IN).map(len, name="length").to(OUT))
COUNTS = deployed(lambda p: p.stream(IN).count(name="counts").to(OUT))
TOTALS = deployed(lambda p: p.stream(IN).count(name="totals").to(OUT))
RENAMED_GROUP = deployed(lambda p: p.stream(IN, name="words").count(name="counts").to(OUT))
MORE_SOURCES = deployed(lambda p: p.stream(IN).merge(p.stream(MORE)).count(name="counts").to(OUT))
OTHER_SOURCE = deployed(lambda p: p.stream(MORE, name="in").count(name="counts").to(OUT))
TABLE = deployed(with_table(NAMES))
OTHER_TABLE = deployed(with_table(OTHER_NAMES))


def history(*deployments: Deployment) -> History:
    return History(
        {each.fingerprint: DeploymentRecord(deployment=each, writer="p.9", recorded_ms=0) for each in deployments}
    )


def lineage(code: Deployment, *before: Deployment, since: tuple[Deployment, ...] = (), accept: bool = False) -> Lineage:
    """Deployed were `before`, then the code; and `since` then others."""
    then = [each for each in before if each is not code]
    now = [each for each in (*then, code) if each not in since]
    return Lineage(code, history(*then, code), lambda: history(*now, *since), accept_state_loss=accept)


def at(offset: int, by: Deployment | None, sequence: int = 4) -> Committed:
    metadata = OffsetMetadata(
        sequence=sequence, writer="p.0", owner_epoch=2, topology=None if by is None else by.fingerprint
    )
    return Committed(offset, str(metadata))


def recorded(by: Deployment, sequence: int = 4, **offsets: int) -> CommitRecord:
    return CommitRecord(
        next_offsets={topic.replace("_", "-"): offset for topic, offset in offsets.items()},
        sequence=sequence,
        writer="p.0",
        owner_epoch=2,
        stream_time_ms=77,
        digest=bytes(16),
        topology=by.fingerprint,
    )


def inheritance(
    lineage: Lineage | None, committed: Mapping[str, Committed], *sources: str, group: str = "in"
) -> Inheritance:
    partitions: tuple[Partition, ...] = tuple((topic, 0) for topic in sources or ("in",))
    places = {(topic.replace("_", "-"), 0): where for topic, where in committed.items()}
    return Inheritance(TaskId(group, 0), partitions, places, lambda _: FIRST, lineage)


def place(found: Inherited) -> dict[str, int]:
    return {topic: offset for (topic, _), offset in found.progress.next_offsets.items()}


# ---------------------------------------------------------------- nothing was deployed in between


@pytest.mark.parametrize("with_lineage", [True, False])
def test_the_same_topology_goes_on_with_every_entry(with_lineage: bool) -> None:
    known = lineage(COUNTS, COUNTS) if with_lineage else None
    found = inheritance(known, {"in": at(30, COUNTS)}).with_state(recorded(COUNTS, **{"in": 30}))
    assert (place(found), found.kept, found.progress.streams_begun) == ({"in": 30}, None, True)
    assert (found.progress.sequence, found.progress.owner_epoch, found.progress.time.now_ms) == (4, 2, 77)


def test_a_new_task_begins_where_its_sources_say() -> None:
    found = inheritance(lineage(COUNTS), {}).with_state(None)
    assert (place(found), found.progress.sequence, found.kept) == ({"in": FIRST}, 0, None)


def test_a_changelog_that_its_own_topology_kept_must_not_be_empty() -> None:
    with pytest.raises(OperatorMustDecide, match=r"committed in\[0\]=30, but its changelog is empty"):
        inheritance(lineage(COUNTS), {"in": at(30, COUNTS)}).with_state(None)


@pytest.mark.parametrize("by", [None, COUNTS, TOTALS])
def test_a_changelog_that_is_gone_is_never_taken_for_one_that_never_was(by: Deployment | None) -> None:
    with pytest.raises(OperatorMustDecide, match="its changelog is empty"):
        inheritance(lineage(COUNTS, TOTALS), {"in": at(30, by)}).with_state(None)


def test_offsets_that_an_operator_has_set_are_compared_as_ever() -> None:
    record = recorded(COUNTS, **{"in": 30})
    found = inheritance(lineage(COUNTS), {"in": Committed(30, "")}).with_state(record)
    assert place(found) == {"in": 30}
    with pytest.raises(OperatorMustDecide, match=r"group is at in\[0\]=20, its changelog at in\[0\]=30"):
        inheritance(lineage(COUNTS), {"in": Committed(20, "")}).with_state(record)
    with pytest.raises(OperatorMustDecide, match="transactions 5 and 4"):
        inheritance(lineage(COUNTS), {"in": at(30, COUNTS, sequence=5)}).with_state(record)
    with pytest.raises(OperatorMustDecide, match="offsets are gone"):
        inheritance(lineage(COUNTS), {}).with_state(record)


# ---------------------------------------------------------------- stores


def test_entries_of_a_store_that_is_lost_do_not_go_on() -> None:
    found = inheritance(lineage(TOTALS, COUNTS), {"in": at(30, COUNTS)}).with_state(recorded(COUNTS, **{"in": 30}))
    assert (place(found), found.kept) == ({"in": 30}, frozenset())


def test_it_counts_who_wrote_this_task_and_not_what_was_deployed_last() -> None:
    """The task slept through a deploy that lost its store, and through the one that brought it back."""
    known = lineage(COUNTS, COUNTS, TOTALS, COUNTS)
    slept = inheritance(known, {"in": at(30, COUNTS)}).with_state(recorded(COUNTS, **{"in": 30}))
    awake = inheritance(known, {"in": at(30, TOTALS)}).with_state(recorded(TOTALS, **{"in": 30}))
    assert slept.kept is None
    assert awake.kept == frozenset()


def test_what_both_topologies_keep_goes_on() -> None:
    found = inheritance(lineage(TABLE, COUNTS), {"in": at(30, COUNTS)}, "names", "in").with_state(
        recorded(COUNTS, **{"in": 30})
    )
    assert found.kept == frozenset({"counts"})
    assert place(found) == {"names": FIRST, "in": 30}


def test_a_table_that_begins_empty_is_read_from_its_beginning() -> None:
    """Though the group has been at another place in that topic: it was read before, and its entries are deleted."""
    committed = {"names": at(9, TABLE), "in": at(30, TABLE), "other_names": at(17, None)}
    found = inheritance(lineage(OTHER_TABLE, TABLE), committed, "other-names", "in").with_state(
        recorded(TABLE, names=9, **{"in": 30})
    )
    assert found.kept == frozenset({"counts"})
    assert place(found) == {"other-names": FIRST, "in": 30}
    assert not found.progress.streams_begun, "it is read to its end before the stream goes on"


# ---------------------------------------------------------------- topics


def test_a_source_more_begins_where_the_group_is_or_where_it_says() -> None:
    record = recorded(COUNTS, **{"in": 30})
    new = inheritance(lineage(MORE_SOURCES, COUNTS), {"in": at(30, COUNTS)}, "in", "more").with_state(record)
    assert (place(new), new.kept) == ({"in": 30, "more": FIRST}, frozenset({"counts"}))
    known = {"in": at(30, COUNTS), "more": at(50, COUNTS, sequence=99)}
    read_before = inheritance(lineage(MORE_SOURCES, COUNTS), known, "in", "more").with_state(record)
    assert place(read_before) == {"in": 30, "more": 50}


def test_a_source_less_is_left_where_it_is() -> None:
    found = inheritance(lineage(COUNTS, MORE_SOURCES), {"in": at(30, MORE_SOURCES)}).with_state(
        recorded(MORE_SOURCES, more=50, **{"in": 30})
    )
    assert place(found) == {"in": 30}


def test_another_source_in_place_of_the_only_one_keeps_the_state() -> None:
    found = inheritance(lineage(OTHER_SOURCE, COUNTS), {}, "more").with_state(recorded(COUNTS, **{"in": 30}))
    assert (place(found), found.kept) == ({"more": FIRST}, frozenset({"counts"}))


def test_what_is_still_read_is_compared_all_the_same() -> None:
    with pytest.raises(OperatorMustDecide, match=r"group is at in\[0\]=20, its changelog at in\[0\]=30"):
        inheritance(lineage(MORE_SOURCES, COUNTS), {"in": at(20, COUNTS)}, "in", "more").with_state(
            recorded(COUNTS, **{"in": 30})
        )


def test_without_a_known_past_every_topic_of_the_record_counts() -> None:
    with pytest.raises(OperatorMustDecide, match=r"more\[0\]=3, its changelog|in\[0\]=30, more\[0\]=3"):
        inheritance(None, {"in": at(30, COUNTS)}, "in", "more").with_state(recorded(COUNTS, **{"in": 30}))


# ---------------------------------------------------------------- task groups


def test_the_first_store_of_a_group_finds_an_empty_changelog_and_begins() -> None:
    found = inheritance(lineage(COUNTS, STATELESS), {"in": at(30, STATELESS)}).with_state(None)
    assert (place(found), found.kept, found.progress.sequence) == ({"in": 30}, frozenset(), 4)


def test_a_renamed_group_begins_empty_where_the_group_is() -> None:
    found = inheritance(lineage(RENAMED_GROUP, COUNTS), {"in": at(30, COUNTS)}, group="words").with_state(None)
    assert (place(found), found.kept) == ({"in": 30}, frozenset())


def test_a_changelog_that_was_left_behind_is_not_gone_on_with() -> None:
    """Renamed, worked under the other name, renamed back: the old changelog is of another time."""
    found = inheritance(lineage(COUNTS, COUNTS, RENAMED_GROUP), {"in": at(90, RENAMED_GROUP, sequence=40)}).with_state(
        recorded(COUNTS, **{"in": 30})
    )
    assert (place(found), found.kept, found.progress.sequence) == ({"in": 90}, frozenset(), 40)


def test_one_source_that_went_on_without_it_makes_a_changelog_a_leftover() -> None:
    """The table was not read meanwhile, so that its offset is as old as the changelog."""
    committed = {"names": at(9, TABLE), "in": at(90, STATELESS, sequence=40)}
    found = inheritance(lineage(TABLE, TABLE, STATELESS), committed, "names", "in").with_state(
        recorded(TABLE, names=9, **{"in": 30})
    )
    assert (place(found), found.kept) == ({"names": FIRST, "in": 90}, frozenset())


def test_a_changelog_is_no_leftover_because_a_source_was_read_without_it_before() -> None:
    """The first store of a group: the other source's offset is older than its commit record."""
    committed = {"in": at(30, COUNTS), "more": at(50, STATELESS, sequence=99)}
    found = inheritance(lineage(MORE_SOURCES, STATELESS, COUNTS), committed, "in", "more").with_state(
        recorded(COUNTS, **{"in": 30})
    )
    assert (place(found), found.kept) == ({"in": 30, "more": 50}, frozenset({"counts"}))


def test_tables_of_a_group_that_begins_empty_are_read_from_their_beginning() -> None:
    committed = {"names": at(9, STATELESS), "in": at(30, STATELESS)}
    found = inheritance(lineage(TABLE, STATELESS), committed, "names", "in").with_state(None)
    assert place(found) == {"names": FIRST, "in": 30}
    assert not found.progress.streams_begun


# ---------------------------------------------------------------- older code that runs on


@pytest.mark.parametrize("older", [COUNTS, STATELESS])
def test_older_code_takes_over_no_task_that_newer_code_has_written_if_it_would_lose_state(older: Deployment) -> None:
    task = inheritance(lineage(older, since=(TOTALS,)), {"in": at(30, TOTALS)})
    record = recorded(TOTALS, **{"in": 30})
    with pytest.raises(OperatorMustDecide, match=r"newer code was deployed.*p\.9.*newer code") as caught:
        task.without_state() if older is STATELESS else task.with_state(record)
    assert "store 'totals'" in str(caught.value)
    assert caught.value.exit_code == 5


def test_older_code_may_take_over_what_newer_code_did_not_change() -> None:
    found = inheritance(lineage(COUNTS, since=(MORE_SOURCES,)), {"in": at(30, MORE_SOURCES)}).with_state(
        recorded(MORE_SOURCES, more=50, **{"in": 30})
    )
    assert (place(found), found.kept) == ({"in": 30}, frozenset({"counts"}))


def test_nothing_is_deleted_by_code_that_a_later_deploy_has_taken_back() -> None:
    """What was accepted when this worker was started is accepted no more: the old code is deployed again."""
    with pytest.raises(OperatorMustDecide, match="newer code was deployed"):
        inheritance(lineage(TOTALS, COUNTS, since=(COUNTS,)), {"in": at(30, COUNTS)}).with_state(
            recorded(COUNTS, **{"in": 30})
        )


def test_a_topology_that_nobody_recorded_is_refused_unless_that_is_accepted() -> None:
    record, committed = recorded(TOTALS, **{"in": 30}), {"in": at(30, TOTALS)}
    with pytest.raises(OperatorMustDecide, match=f"topology {TOTALS.fingerprint}, which is not among those recorded"):
        inheritance(lineage(COUNTS), committed).with_state(record)
    found = inheritance(lineage(COUNTS, accept=True), committed).with_state(record)
    assert (place(found), found.kept) == ({"in": 30}, frozenset({"counts"}))


def test_a_task_that_keeps_nothing_goes_on_where_the_group_is() -> None:
    found = inheritance(lineage(STATELESS, STATELESS), {"in": at(30, STATELESS)}).without_state()
    assert (place(found), found.progress.sequence, found.kept) == ({"in": 30}, 4, None)
    assert place(inheritance(lineage(STATELESS), {}).without_state()) == {"in": FIRST}
