"""What a dead worker left open is ended; what belongs to a live one is left alone, whatever waits for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pytest

from penstock.errors import ConfigurationError, KafkaUnavailable
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.group_members import GroupMember
from penstock.kafka.polled import Partition
from penstock.runtime.takeover import FENCE_AGAIN_S, LOOK_AGAIN_S, Takeover
from penstock.runtime.task import TaskId
from tests.unit.publishing.in_memory import ManualClock, Seen
from tests.unit.runtime.in_memory import Cluster, InMemoryProducer, metadata

T = TypeVar("T")

OUT, LOG = ("out", 0), ("log", 0)
US = GroupMember("p.0", "member-0")
OTHER = GroupMember("p.1", "member-1")


@dataclass
class Now(Generic[T]):
    """An answer that is there at once, or after some looks; or a failure."""

    value: T
    after: int = 0
    fails: bool = False

    def get(self) -> T | None:
        if self.fails:
            raise KafkaUnavailable("planted")
        self.after -= 1
        return None if self.after >= 0 else self.value


@dataclass
class Brokers:
    """What the brokers say."""

    group: list[GroupMember] = field(default_factory=lambda: [US])
    writers: dict[Partition, str] = field(default_factory=lambda: {("in", 0): "p.0", ("in", 1): "p.1"})
    marks: dict[Partition, Extent] = field(default_factory=lambda: {OUT: Extent(0, 5, 5), LOG: Extent(0, 9, 9)})
    after: int = 0
    fails: bool = False
    looks: int = 0

    def members(self) -> Now[tuple[GroupMember, ...]]:
        self.looks += 1
        return Now(tuple(self.group), self.after)

    def last_offsets(self, partitions: Sequence[Partition]) -> Now[Mapping[Partition, Committed]]:
        assert partitions == [("in", 0), ("in", 1)]
        return Now({p: Committed(1, metadata(3, writer)) for p, writer in self.writers.items()})

    def extents(self, partitions: Sequence[Partition]) -> Now[Mapping[Partition, Extent]]:
        return Now({partition: self.marks[partition] for partition in partitions}, fails=self.fails)


@dataclass
class Waits:
    """A restore."""

    task_id: TaskId = TaskId("g", 0)  # noqa: RUF009 - frozen
    has_unstable_offsets: bool = False
    is_held_up: bool = True


class Handle(InMemoryProducer):
    """Ends what its id left open."""

    def __init__(self, play: Play, name: str) -> None:
        super().__init__(Cluster({}))
        self._play, self._name = play, name

    def init_transactions(self, timeout_s: float) -> None:
        del timeout_s
        self._play.tries += 1
        if self._play.refuses is not None:
            raise self._play.refuses
        if self._play.tries <= self._play.silent:
            raise KafkaUnavailable("not yet")
        self._play.fenced.append(self._name)
        for place, extent in self._play.brokers.marks.items():
            if self._play.holds.get(place) == self._name:
                self._play.brokers.marks[place] = extent._replace(last_stable=extent.high_watermark)

    def close(self) -> None:
        self._play.open_handles -= 1


class ReadTail:
    def __init__(self, writers: Collection[str]) -> None:
        self._writers, self._left = writers, 1

    def writers(self) -> Collection[str] | None:
        self._left -= 1
        return None if self._left >= 0 else self._writers

    def close(self) -> None:
        pass


class Play:
    """A takeover, stepped by hand.

    Attributes:
        holds: {partition: who has a transaction open in it}.
        tail: who wrote commit records that are not committed.
    """

    def __init__(self, brokers: Brokers, tail: Collection[str] = ()) -> None:
        self.brokers, self.tail = brokers, tail
        self.clock, self.hooks = ManualClock(), Seen()
        self.fenced: list[str] = []
        self.has_begun = False
        self.holds: dict[Partition, str] = {}
        self.tries = self.silent = self.open_handles = self.tails = 0
        self.refuses: Exception | None = None
        self.takeover = Takeover(
            brokers,
            self.connect,
            self.read_tail,
            writer="p.0",
            reads=[("in", 0), ("in", 1)],
            writes=[OUT, LOG],
            changelog_of=lambda task: "log" if task.group == "g" else None,
            clock=self.clock,
            hooks=self.hooks,
        )

    def connect(self, name: str) -> Handle:
        self.open_handles += 1
        return Handle(self, name)

    def read_tail(self, place: Partition, extent: Extent) -> ReadTail:
        assert place == LOG
        assert extent.is_open
        self.tails += 1
        return ReadTail(self.tail)

    def go(self, *restoring: Waits, steps: int = 12, member_id: str = "member-0") -> list[str]:
        if restoring and not self.has_begun:
            self.has_begun = True
            self.takeover.begin()
        for _ in range(steps):
            self.takeover.step(restoring, member_id)
            self.clock.now_s += LOOK_AGAIN_S / 2
        return self.fenced


def open_in(place: Partition, group: list[GroupMember] | None = None) -> Brokers:
    brokers = Brokers([US] if group is None else group)
    brokers.marks[place] = Extent(0, 2, 7)
    return brokers


def test_an_open_transaction_in_the_changelog_of_a_restore_is_ended() -> None:
    play = Play(open_in(LOG))
    play.holds[LOG] = "p.1"
    assert play.go(Waits()) == ["p.1"]
    assert play.hooks.steps == ["takeover"]
    assert play.open_handles == 0


def test_pending_offsets_of_a_restore_are_ended() -> None:
    assert Play(Brokers()).go(Waits(has_unstable_offsets=True), steps=4) == ["p.1"]


def test_an_open_transaction_in_an_output_is_ended_although_no_restore_waits_for_it() -> None:
    """Readers of the output stand behind it. The restore itself is over after the first step."""
    play = Play(open_in(OUT))
    play.holds[OUT] = "p.1"
    play.go(Waits(is_held_up=False), steps=1)
    assert play.takeover.is_at_work
    assert play.go() == ["p.1"]
    assert not play.takeover.is_at_work


def test_a_dead_worker_is_remembered_when_our_claim_has_taken_its_place_in_the_offsets() -> None:
    """Its output shows as standing still at the second look only. The restore knew it, if no look was in time."""
    for is_seen in (True, False):
        play = Play(open_in(OUT))
        play.holds[OUT] = "p.1"
        if not is_seen:
            play.brokers.writers = {}
        play.go(Waits(is_held_up=False), steps=2)
        if not is_seen:
            play.takeover.note({"p.1"})
        play.brokers.writers = {("in", 0): "p.0", ("in", 1): "p.0"}
        assert play.go() == ["p.1"]


def test_a_task_that_comes_while_the_brokers_are_asked_is_looked_after_too() -> None:
    """It is restored before the answer is there, which is older than its coming."""
    play = Play(Brokers())
    play.brokers.after = 2
    play.go(Waits(is_held_up=False), steps=1)
    play.takeover.begin()
    play.takeover.note({"p.1"})
    play.brokers.writers = {("in", 0): "p.0", ("in", 1): "p.0"}
    play.brokers.marks[OUT] = Extent(0, 2, 7)
    play.holds[OUT] = "p.1"
    assert play.go() == ["p.1"]


@pytest.mark.parametrize("place", [LOG, OUT])
def test_a_live_worker_is_never_fenced(place: Partition) -> None:
    play = Play(open_in(place, group=[US, OTHER]))
    assert play.go(Waits(has_unstable_offsets=True), steps=50) == []


@pytest.mark.parametrize("group", [[], [GroupMember("p.0", "an older member of ours")], [OTHER]])
def test_an_answer_without_ourselves_decides_nothing(group: list[GroupMember]) -> None:
    """The group has moved on, or is being moved: whoever is not in it may be alive."""
    play = Play(open_in(LOG, group=group))
    assert play.go(Waits(has_unstable_offsets=True), steps=50) == []


def test_nothing_is_ended_where_nothing_waits() -> None:
    play = Play(Brokers())
    assert play.go(Waits(is_held_up=False)) == []
    assert play.brokers.looks == 1


def test_an_open_transaction_that_moves_is_of_somebody_alive() -> None:
    """Two looks see an open transaction, each another one."""
    play = Play(open_in(OUT))
    play.go(Waits(is_held_up=False), steps=1)
    for stable in range(3, 8):
        play.brokers.marks[OUT] = Extent(0, stable, stable + 5)
        play.go(steps=2)
    assert play.fenced == []
    assert not play.takeover.is_at_work, "all that was written before is closed"


def test_our_own_transaction_is_never_taken_for_a_dead_workers() -> None:
    play = Play(open_in(OUT))
    play.brokers.writers = {("in", 0): "p.0"}
    assert play.go(Waits(is_held_up=False), steps=50) == []


def test_a_worker_that_died_in_its_first_claim_is_known_by_its_commit_record() -> None:
    """The offsets name the worker before it, which was fenced already: whatever it had open is ended."""
    play = Play(open_in(LOG), tail=["p.2"])
    play.holds[LOG] = "p.2"
    assert play.go(Waits()) == ["p.1", "p.2"]
    assert play.open_handles == 0


def test_a_live_worker_in_the_tail_is_left_alone() -> None:
    play = Play(open_in(LOG, group=[US, OTHER]), tail=["p.1"])
    assert play.go(Waits(), steps=50) == []
    assert play.tails > 0


def test_a_handle_without_an_answer_is_asked_again_and_no_step_waits() -> None:
    play = Play(open_in(LOG))
    play.holds[LOG], play.silent = "p.1", 5
    assert play.go(Waits(), steps=4) == []
    assert play.go(Waits(), steps=8) == ["p.1"]
    assert play.open_handles == 0


def test_who_may_not_be_fenced_is_left_to_the_time_out() -> None:
    play = Play(open_in(LOG))
    play.refuses = ConfigurationError("no right to this transactional.id")
    assert play.go(Waits(), steps=10) == []
    assert play.tries == 1
    assert play.open_handles == 0


def test_what_is_still_open_after_some_seconds_is_ended_again() -> None:
    """A worker that stood still may have gone on and begun anew."""
    play = Play(open_in(LOG))
    play.go(Waits(), steps=int(FENCE_AGAIN_S / LOOK_AGAIN_S * 2) + 10)
    assert play.fenced == ["p.1", "p.1"]


def test_questions_that_fail_are_asked_again() -> None:
    play = Play(open_in(LOG))
    play.brokers.fails = True
    assert play.go(Waits()) == []
    play.brokers.fails, play.brokers.after = False, 3
    assert play.go(Waits()) == ["p.1"]
