"""What a worker makes of being fenced: go on, wait outside of the group, or end."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest

from penstock.errors import DuplicateIdentity, Fenced, KafkaUnavailable
from penstock.kafka.group_members import GroupMember
from penstock.kafka.group_view import Answer
from penstock.runtime.twins import FENCE_WINDOW_S, Twins
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Told

US = GroupMember("p.0", "me", "/10.0.0.1")
TWIN = GroupMember("p.0", "another", "/10.0.0.2")
STRANGER = GroupMember("p.1", "third", "/10.0.0.3")


@dataclass
class Group:
    """Who is in it, as the coordinator says; and who we are, as our client says."""

    members: list[GroupMember] = field(default_factory=lambda: [US, STRANGER])
    own_ids: list[str] = field(default_factory=lambda: ["me"])
    failures: int = 0
    asked: int = 0

    def ask(self) -> Told[tuple[GroupMember, ...]]:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            return Fails(())
        return Told(tuple(self.members))

    def own_id(self) -> str:
        return self.own_ids.pop(0) if len(self.own_ids) > 1 else self.own_ids[0]


class Late:
    """An answer that has not come yet."""

    def __init__(self, *members: GroupMember) -> None:
        self.members = members
        self.is_there = False

    def get(self) -> tuple[GroupMember, ...] | None:
        return self.members if self.is_there else None


class Fails(Told[tuple[GroupMember, ...]]):
    def get(self) -> tuple[GroupMember, ...]:
        raise KafkaUnavailable("planted")


def twins(group: Group, clock: ManualClock | None = None) -> Twins:
    return Twins("p.0", group.ask, member_id=group.own_id, session_timeout_s=10.0, clock=clock or ManualClock())


def test_whoever_is_alone_goes_on() -> None:
    found = twins(Group())
    found.fenced(Fenced("planted"))
    assert not found.is_waiting


def test_a_twin_that_is_still_there_three_sessions_later_ends_this_worker_and_is_named() -> None:
    clock, group = ManualClock(), Group([US, TWIN])
    found = twins(group, clock)
    found.fenced(Fenced("planted"))
    group.members = [TWIN]
    while clock.now_s < 1_030:
        assert found.is_waiting
        assert not found.is_over()
        clock.now_s += 1
    clock.now_s += 1
    with pytest.raises(DuplicateIdentity, match=r"'p\.0', at 10\.0\.0\.2"):
        found.is_over()


def test_a_member_whose_name_was_taken_over_waits_outside_until_nobody_has_it() -> None:
    """Whatever id took it over: it may be one of ours, of an answer to us that was lost."""
    clock, group = ManualClock(), Group([US], own_ids=[""])
    found = twins(group, clock)
    found.replaced()
    clock.now_s += 11
    assert not found.is_over()
    clock.now_s += 4
    group.members = []
    assert found.is_over()
    assert not found.is_waiting


def test_an_id_that_was_ours_is_nobody_of_ours_once_we_are_replaced() -> None:
    clock, group = ManualClock(), Group([US])
    found = twins(group, clock)
    found.fenced(Fenced("planted"))
    assert not found.is_waiting
    found.replaced()
    group.own_ids = [""]
    clock.now_s += 11
    assert not found.is_over()


def test_being_replaced_any_number_of_times_is_no_reason_to_end() -> None:
    """A coordinator that stands still again and again does this to a worker that is alone."""
    clock, group = ManualClock(), Group([])
    found = twins(group, clock)
    for _ in range(5):
        found.replaced()
        assert found.is_waiting
        clock.now_s += 11
        assert found.is_over()


def test_the_ghost_of_a_dead_one_is_waited_out() -> None:
    clock, group = ManualClock(), Group([TWIN])
    found = twins(group, clock)
    found.fenced(Fenced("planted"))
    group.members = []
    clock.now_s += 11
    assert found.is_over()
    assert not found.is_waiting


def test_a_member_that_we_have_become_meanwhile_is_no_twin() -> None:
    """The client joins anew in the background: the answer is older than the id, or younger."""
    for ids in (["old", "me"], ["me", "new"]):
        found = twins(Group([US], own_ids=ids))
        found.fenced(Fenced("planted"))
        assert not found.is_waiting


def test_a_coordinator_that_does_not_answer_is_asked_again_for_a_while() -> None:
    group = Group([US, TWIN], failures=3)
    found = twins(group)
    found.fenced(Fenced("planted"))
    assert found.is_waiting
    assert group.asked == 4


def test_a_coordinator_that_says_nothing_is_waited_for_outside_of_the_group() -> None:
    """Whoever went on would fence a twin, which would do the same: of two that live, both would end."""
    clock, group = ManualClock(), Group([US, TWIN], failures=1_000_000)
    found = twins(group, clock)
    found.fenced(Fenced("planted"))
    for _ in range(100):
        assert found.is_waiting
        assert not found.is_over()
        clock.now_s += 1
    # It is back, and counts the session of a dead one from anew.
    group.failures = 0
    for _ in range(15):
        assert not found.is_over()
        clock.now_s += 1
    group.members = []
    assert found.is_over()
    assert not found.is_waiting


def test_a_twin_that_a_coordinator_shows_when_it_is_back_ends_this_worker_if_it_lives() -> None:
    clock, group = ManualClock(), Group([US, TWIN], failures=1_000_000)
    found = twins(group, clock)
    found.fenced(Fenced("planted"))
    clock.now_s += 11
    assert not found.is_over()
    clock.now_s += 60
    group.members, group.failures = [TWIN], 0
    for _ in range(30):
        assert not found.is_over()
        clock.now_s += 1
    with pytest.raises(DuplicateIdentity):
        found.is_over()


def test_the_third_fence_in_five_minutes_ends_the_worker_whatever_the_group_says() -> None:
    clock = ManualClock()
    found = twins(Group(), clock)
    found.fenced(Fenced("planted"))
    clock.now_s += FENCE_WINDOW_S + 1
    found.fenced(Fenced("planted"))
    found.fenced(Fenced("planted"))
    with pytest.raises(DuplicateIdentity, match="another instance name"):
        found.fenced(Fenced("planted"))


def test_without_partitions_a_twin_is_looked_for_once_the_dead_are_forgotten() -> None:
    clock, group = ManualClock(), Group([US, TWIN])
    found = twins(group, clock)
    found.idle()
    clock.now_s += 19
    found.idle()
    assert group.asked == 0
    clock.now_s += 1
    found.idle()
    assert found.is_waiting
    clock.now_s += 31
    with pytest.raises(DuplicateIdentity):
        found.is_over()


def test_whoever_has_no_partitions_and_no_twin_goes_on_looking() -> None:
    clock, group = ManualClock(), Group(failures=1)
    found = twins(group, clock)
    for second in range(100):
        found.idle()
        assert not found.is_waiting, second
        clock.now_s += 1
    assert group.asked == 5  # one of them in vain, and asked anew at once
    group.members.append(TWIN)
    for _ in range(20):
        found.idle()
        clock.now_s += 1
    assert found.is_waiting


def test_of_two_without_partitions_that_look_at_the_same_moment_one_ends_and_the_other_goes_on() -> None:
    """They come with one rebalance, and would come back with one."""
    clock, group = ManualClock(), Group([])
    alive: dict[str, Twins] = {}
    for name in ("a", "b"):
        alive[name] = Twins("p.0", group.ask, member_id=partial(str, name), session_timeout_s=10.0, clock=clock)
    ended: list[str] = []
    for _ in range(1_000):
        group.members = [GroupMember("p.0", name) for name, one in alive.items() if not one.is_waiting]
        for name, one in list(alive.items()):
            try:
                if one.is_waiting:
                    one.is_over()
                else:
                    one.idle()
            except DuplicateIdentity:
                ended.append(name)
                del alive[name]
        clock.now_s += 0.1
    assert ended == ["b"]


def test_whoever_has_the_lesser_id_leaves_too_if_the_other_does_not() -> None:
    """The other one has partitions, and does not look."""
    clock, group = ManualClock(), Group([GroupMember("p.0", "a"), GroupMember("p.0", "b")], own_ids=["a"])
    found = twins(group, clock)
    for _ in range(50):
        assert not found.is_waiting
        found.idle()
        clock.now_s += 1
    found.idle()
    assert found.is_waiting
    assert group.asked == 2


def looking(late: Late, own_ids: list[str], clock: ManualClock) -> tuple[Twins, list[int]]:
    """A worker without partitions whose question is not answered yet, the first of all."""
    answers: list[Answer[tuple[GroupMember, ...]]] = [late]
    asked: list[int] = []

    def ask() -> Answer[tuple[GroupMember, ...]]:
        asked.append(1)
        return answers.pop() if answers else Told(())

    found = Twins("p.0", ask, member_id=lambda: own_ids[-1], session_timeout_s=10.0, clock=clock)
    while not asked:
        found.idle()
        clock.now_s += 1
    return found, asked


def test_an_answer_that_comes_when_nobody_waits_for_it_any_more_is_not_believed() -> None:
    """It tells of a member of our name that we were, and are no longer."""
    clock, late, own_ids = ManualClock(), Late(GroupMember("p.0", "old")), ["old"]
    found, asked = looking(late, own_ids, clock)
    found.busy()
    late.is_there = True
    own_ids.append("new")
    for _ in range(50):
        found.idle()
        assert not found.is_waiting
        clock.now_s += 1
    assert len(asked) > 1


def test_a_member_that_we_were_when_we_asked_is_no_twin() -> None:
    clock, late, own_ids = ManualClock(), Late(GroupMember("p.0", "old")), ["old"]
    found, asked = looking(late, own_ids, clock)
    own_ids.append("new")
    late.is_there = True
    for _ in range(50):
        found.idle()
        assert not found.is_waiting
        clock.now_s += 1
    assert len(asked) > 1


def test_partitions_put_the_look_off() -> None:
    clock, group = ManualClock(), Group([US, TWIN])
    found = twins(group, clock)
    for _ in range(10):
        found.idle()
        clock.now_s += 15
        found.busy()
    assert group.asked == 0
    assert not found.is_waiting


# ---------------------------------------------------------------- in the worker
