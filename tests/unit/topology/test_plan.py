"""What a deploy does, told before it does it: kind by kind, and whether it loses state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.record import Record
from penstock.schemas.serdes import int64, int_text, json
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from penstock.topology.change import Change
from penstock.topology.deployment import Deployment, Group, Step, TopicForm, deployment_of
from penstock.topology.plan import Plan, plan_of

IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=int64)
LATEST = {"cleanup.policy": "compact"}
NAMES = Topic("names", key=str, value=str, config=LATEST, tombstones=True)
LABELS = Topic("labels", key=str, value=str, config=LATEST, tombstones=True)

Build = Callable[[Pipeline], object]


class Total(msgspec.Struct, frozen=True):
    cents: int = 0


class Sum(msgspec.Struct, frozen=True):
    cents: int = 0
    count: int = 0


def deployed(build: Build, **partitions: int) -> Deployment:
    pipeline = Pipeline("p")
    build(pipeline)
    return deployment_of(pipeline.topology(), partitions)


def plan(before: Build, after: Build) -> Plan:
    return plan_of(deployed(before), deployed(after))


def only(told: Plan) -> Change:
    (change,) = told.changes
    return change


def remembering(*specs: StoreSpec[Any, Any]) -> Any:
    @processor(stores=specs)
    def remember(record: Record[str, str], ctx: Context) -> Iterator[Record[str, str]]:
        del ctx
        yield record

    return remember


def keeping(*specs: StoreSpec[Any, Any]) -> Build:
    return lambda p: p.stream(IN).process(remembering(*specs))


def counting(name: str = "counts", source: str | None = None) -> Build:
    return lambda p: p.stream(IN, name=source).count(name=name).to(OUT)


def joining(topic: Topic[str, str] = NAMES, name: str = "names", version: int = 1) -> Build:
    """A stream with a table: the table's state can be read again at any time."""

    def build(p: Pipeline) -> None:
        table = p.table(topic, name=name)
        p.stream(IN).join(table, str.__add__, name="label").map(len, name="length").to(OUT)

    assert version == 1
    return build


def test_the_same_code_changes_nothing() -> None:
    told = plan(counting(), counting())
    assert told.changes == ()
    assert str(told) == "✓ nothing changes"
    assert told.is_safe


# ---------------------------------------------------------------- stores


def test_a_store_under_another_name_is_a_probable_rename_and_loses_its_state() -> None:
    told = plan(counting("counts"), counting("counts-by-word"))
    change = only(told)
    assert (change.verb, change.effect, change.what) == ("renames", "loses state", "store 'counts'")
    assert "'counts-by-word'" in change.told
    assert "'counts'" in change.advice
    assert told.losses == (change,)
    assert not told.is_safe


def test_a_new_name_with_other_values_is_no_rename() -> None:
    before: Build = lambda p: p.stream(IN).count(name="counts")  # noqa: E731 - one of a pair
    told = plan(before, lambda p: p.stream(IN).aggregate(Total, lambda total, _: total, name="totals"))
    assert [(c.verb, c.what) for c in told.changes] == [("orphans", "store 'counts'"), ("adds", "store 'totals'")]


def test_where_two_stores_could_be_meant_none_is_guessed() -> None:
    before = keeping(StoreSpec("a", str, int))
    told = plan(before, keeping(StoreSpec("b", str, int), StoreSpec("c", str, int)))
    assert [(c.verb, c.what) for c in told.changes] == [
        ("orphans", "store 'a'"),
        ("adds", "store 'b'"),
        ("adds", "store 'c'"),
    ]
    back = plan(keeping(StoreSpec("b", str, int), StoreSpec("c", str, int)), before)
    assert [c.verb for c in back.changes] == ["orphans", "orphans", "adds"]


def test_two_renames_at_once_are_told_apart_by_their_forms() -> None:
    told = plan(
        keeping(StoreSpec("a", str, int), StoreSpec("b", int, str)),
        keeping(StoreSpec("c", str, int), StoreSpec("d", int, str)),
    )
    assert [(c.verb, c.what, "'c'" in c.told, "'d'" in c.told) for c in told.changes] == [
        ("renames", "store 'a'", True, False),
        ("renames", "store 'b'", False, True),
    ]


def test_a_store_that_nobody_keeps_any_more_is_orphaned() -> None:
    told = plan(keeping(StoreSpec("a", str, int), StoreSpec("b", str, int)), keeping(StoreSpec("b", str, int)))
    assert (only(told).verb, only(told).effect) == ("orphans", "loses state")


def test_a_store_with_other_keys_is_re_keyed() -> None:
    change = only(plan(keeping(StoreSpec("a", str, int)), keeping(StoreSpec("a", tuple[str, int], int))))
    assert (change.verb, change.effect) == ("re-keys", "loses state")
    assert "str before, tuple[str, int] now" in change.told


def test_other_values_under_the_same_version_are_refused() -> None:
    change = only(plan(keeping(StoreSpec("a", str, Total)), keeping(StoreSpec("a", str, Sum))))
    assert (change.verb, change.effect) == ("reshapes", "loses state")
    assert "version=2" in change.advice
    assert "upgrade=" in change.advice


def test_a_field_more_in_the_same_class_is_another_form_too() -> None:
    wider = msgspec.defstruct("Total", [("cents", int, 0), ("count", int, 0)], module=Total.__module__, frozen=True)
    change = only(plan(keeping(StoreSpec("a", str, Total)), keeping(StoreSpec("a", str, wider))))
    assert (change.verb, "with other fields" in change.told) == ("reshapes", True)


def test_other_values_under_a_higher_version_are_upgraded_when_they_are_read() -> None:
    newer = StoreSpec("a", str, Sum, version=2, upgrade=lambda _, old: Sum(old["cents"]))
    told = plan(keeping(StoreSpec("a", str, Total)), keeping(newer))
    assert (only(told).verb, only(told).effect) == ("upgrades", "harmless")
    assert told.is_safe


def test_values_of_a_later_version_than_the_code_s_are_refused() -> None:
    newer = StoreSpec("a", str, Total, version=2, upgrade=lambda _, old: old)
    change = only(plan(keeping(newer), keeping(StoreSpec("a", str, Total))))
    assert (change.verb, change.effect, "version 2 before, 1 now" in change.told) == ("reshapes", "loses state", True)


def test_a_class_that_only_moved_to_another_module_is_the_same_values() -> None:
    moved = msgspec.defstruct("Total", [("cents", int, 0)], module="elsewhere", frozen=True)
    told = plan(keeping(StoreSpec("a", str, Total)), keeping(StoreSpec("a", str, moved)))
    assert (only(told).what, only(told).effect) == ("the description", "harmless")


def test_another_window_remakes_the_store() -> None:
    """By whatever word an operator calls it: a setting of a step that keeps state decides what its entries mean."""
    before, after = (with_setting(deployed(counting()), "counts", "window", size) for size in ("1 h", "2 h"))
    change = only(plan_of(before, after))
    assert (change.verb, change.effect) == ("remakes", "loses state")
    assert "made by count window 1 h before, made by count window 2 h now" in change.told


def with_setting(deployment: Deployment, node: str, name: str, value: str) -> Deployment:
    data: Any = msgspec.to_builtins(deployment)
    for group in data["groups"]:
        for each in group["nodes"]:
            if each["name"] == node:
                each["settings"] = {**each["settings"], name: value}
    return msgspec.convert({**data, "fingerprint": value}, Deployment)


def test_a_store_that_another_kind_of_step_keeps_is_remade() -> None:
    after: Build = lambda p: p.stream(IN).aggregate(int, lambda n, _: n + 1, name="n").to(OUT)  # noqa: E731 - as above
    change = only(plan(counting("n"), after))
    assert (change.verb, change.effect) == ("remakes", "loses state")


def test_one_more_processor_that_uses_a_store_leaves_it_as_it_is() -> None:
    spec = StoreSpec("a", str, int)
    before: Build = lambda p: p.stream(IN).process(remembering(spec), name="one")  # noqa: E731 - one of a pair
    after: Build = lambda p: (  # noqa: E731 - as above
        p.stream(IN).process(remembering(spec), name="one").process(remembering(spec), name="two")
    )
    told = plan(before, after)
    assert (only(told).verb, only(told).what) == ("adds", "step 'two'")


def test_a_new_store_begins_empty_and_is_harmless() -> None:
    told = plan(keeping(), keeping(StoreSpec("a", str, int)))
    assert (only(told).verb, only(told).effect, only(told).what) == ("adds", "harmless", "store 'a'")


# ---------------------------------------------------------------- tables


def test_a_table_is_rebuilt_from_its_topic_and_loses_nothing() -> None:
    told = plan(joining(NAMES), joining(LABELS))
    assert told.is_safe
    assert {(c.verb, c.what) for c in told.changes} == {
        ("rebuilds", "table 'names'"),
        ("replaces", "source topic 'names'"),
    }


def test_a_renamed_table_is_read_again_under_its_new_name() -> None:
    told = plan(joining(name="names"), joining(name="names-by-key"))
    assert told.is_safe
    assert [(c.verb, c.what) for c in told.changes if "table" in c.what] == [
        ("renames", "table 'names'"),
        ("adds", "table 'names-by-key'"),
    ]


def test_a_table_with_other_values_is_rebuilt() -> None:
    def upper(p: Pipeline) -> None:
        table = p.table(Topic("names", key=str, value=json(list[str]), config=LATEST, tombstones=True), name="names")
        p.stream(IN).join(table, lambda text, _: text, name="label").map(len, name="length").to(OUT)

    told = plan(joining(), upper)
    assert told.is_safe
    assert ("rebuilds", "table 'names'") in {(c.verb, c.what) for c in told.changes}


def test_a_table_that_is_gone_loses_nothing_since_its_topic_has_everything() -> None:
    told = plan(joining(), lambda p: p.stream(IN).map(len, name="length").to(OUT))
    assert told.is_safe
    assert ("removes", "table 'names'") in {(c.verb, c.what) for c in told.changes}


# ---------------------------------------------------------------- task groups


def test_a_renamed_task_group_leaves_the_state_of_all_its_stores_behind() -> None:
    told = plan(counting(source="words"), counting(source="in"))
    assert told.losses[0].verb == "renames"
    assert told.losses[0].what == "store 'counts'"
    assert "name='words'" in told.losses[0].advice
    assert "adds" not in {change.verb for change in told.changes}


def test_a_task_group_without_state_may_have_any_name() -> None:
    told = plan(lambda p: p.stream(IN, name="a").to(IN2), lambda p: p.stream(IN, name="b").to(IN2))
    assert told.is_safe


IN2 = Topic("in2", key=str, value=str)


# ---------------------------------------------------------------- sources, sinks, steps


def test_another_source_topic_is_told_with_what_to_do_about_the_old_one() -> None:
    after: Build = lambda p: p.stream(IN2, name="in").count(name="counts").to(OUT)  # noqa: E731 - a value like others
    told = plan(counting(), after)
    assert told.is_safe
    assert (only(told).verb, only(told).effect) == ("replaces", "notice")
    assert "'in2' now, from its beginning" in only(told).told
    assert "lag is 0" in only(told).advice


def test_a_source_more_and_a_source_less_are_told() -> None:
    both: Build = lambda p: p.stream(IN).merge(p.stream(IN2)).count(name="counts").to(OUT)  # noqa: E731 - as above
    more, less = plan(counting(), both), plan(both, counting())
    assert [(c.verb, c.effect, c.what) for c in more.changes] == [
        ("adds", "harmless", "source topic 'in2'"),
        ("adds", "harmless", "step 'merge'"),
        ("changes", "harmless", "step 'counts'"),
    ]
    assert [(c.verb, c.effect, c.what) for c in less.changes] == [
        ("removes", "notice", "source topic 'in2'"),
        ("removes", "harmless", "step 'merge'"),
        ("changes", "harmless", "step 'counts'"),
    ]


def test_another_form_of_what_is_read_is_told() -> None:
    other = Topic("in", key=bytes, value=json(str))
    told = plan(
        lambda p: p.stream(IN).to(IN2),
        lambda p: p.stream(other).map(str, name="x").to(Topic("z", key=bytes, value=str)),
    )
    assert [c.told for c in told.changes if c.what == "source topic 'in'"] == [
        "keys are UTF-8 text before, bytes now",
        "values are UTF-8 text before, JSON of str now",
    ]


def test_where_a_source_begins_counts_for_new_groups_only_and_is_told() -> None:
    told = plan(counting(), lambda p: p.stream(IN, start="latest", timestamp=int).count(name="counts").to(OUT))
    assert [c.told for c in told.changes] == [
        "start is earliest before, latest now; it counts only where the group has no place yet",
        "event time is kafka before, value now",
    ]
    assert told.is_safe


@pytest.mark.parametrize(
    ("build", "effect"), [(counting(), "impossible"), (lambda p: p.stream(IN).to(IN2), "harmless")]
)
def test_a_repartitioned_input_is_impossible_only_where_state_is_kept(build: Build, effect: str) -> None:
    before = deployed(build, **{"in": 3, "elsewhere": 1})
    change = only(plan_of(before, deployed(build, **{"in": 6})))
    assert (change.verb, change.effect) == ("repartitions", effect)
    assert "it has 6 partitions, 3 when it was deployed" in change.told
    assert bool(change.advice) is (effect == "impossible")


def test_a_topic_whose_width_is_not_known_is_not_taken_for_a_change() -> None:
    assert plan_of(deployed(counting()), deployed(counting(), **{"in": 6})).changes == ()
    assert plan_of(deployed(counting(), **{"in": 6}), deployed(counting())).changes == ()


def test_other_sinks_are_told_and_lose_nothing() -> None:
    told = plan(counting(), lambda p: p.stream(IN).count(name="counts").to(Topic("other", key=str, value=int64)))
    assert [(c.verb, c.effect, c.what) for c in told.changes] == [
        ("removes", "harmless", "sink topic 'out'"),
        ("adds", "harmless", "sink topic 'other'"),
    ]
    changed = plan(counting(), lambda p: p.stream(IN).count(name="counts").to(Topic("out", key=str, value=int_text)))
    assert (only(changed).effect, "values are" in only(changed).told) == ("notice", True)


def rekeying(name: str, value: str = "UTF-8 text") -> Deployment:
    """Two task groups, with a topic of ours between them."""
    topic = TopicForm(name=f"p.{name}.repartition", key="UTF-8 text", value=value)
    source = Step(name="in", kind="source", reads=TopicForm(name="in", key="UTF-8 text", value="UTF-8 text"))
    cut = Step(name=name, kind="key-by", parents=("in",), writes=topic)
    behind = Step(name="show", kind="map", parents=(name,))
    groups = (Group(name="in", nodes=(source, cut)), Group(name=name, nodes=(behind,)))
    return Deployment(pipeline="p", fingerprint=name + value, groups=groups)


def test_a_topic_between_task_groups_that_goes_takes_what_is_on_its_way_with_it() -> None:
    told = plan_of(rekeying("by-carrier"), rekeying("by-airline"))
    assert [(c.verb, c.effect, c.what) for c in told.changes][:2] == [
        ("removes", "notice", "repartition topic 'p.by-carrier.repartition'"),
        ("adds", "harmless", "repartition topic 'p.by-airline.repartition'"),
    ]
    assert "lag is 0" in told.changes[0].advice
    changed = only(plan_of(rekeying("by-carrier"), rekeying("by-carrier", "JSON of str")))
    assert (changed.effect, "on its way" in changed.advice) == ("notice", True)


def test_steps_that_keep_nothing_are_told_and_harmless() -> None:
    before: Build = lambda p: p.stream(IN).map(str, name="one").map(str, name="two").to(IN2)  # noqa: E731 - as above
    after: Build = lambda p: p.stream(IN).filter(str, name="one").map(str, name="three").to(IN2)  # noqa: E731 - as above
    told = plan(before, after)
    assert [(c.verb, c.effect, c.what) for c in told.changes] == [
        ("adds", "harmless", "step 'three'"),
        ("removes", "harmless", "step 'two'"),
        ("changes", "harmless", "step 'one'"),
    ]


# ---------------------------------------------------------------- as it is told


def test_what_loses_state_is_told_first_with_what_to_do() -> None:
    told = plan(
        lambda p: p.stream(IN).count(name="counts").to(OUT),
        lambda p: p.stream(IN).filter(str, name="one").count(name="words").to(OUT),
    )
    lines = str(told).splitlines()
    assert lines[0].startswith("✗ renames store 'counts': it seems to be 'words' now")
    assert lines[1] == "  → give it its old name back, 'counts'"
    assert lines[2] == "✓ adds step 'one': records go this way from now on"
