"""What a simulated member of a group knows, and when."""

from __future__ import annotations

import pytest

from penstock.kafka.group_settings import GroupProtocol, GroupSettings
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.member import SimulatedMember
from penstock.testing.cluster.process import Process

PLACES = [("flights", 0), ("flights", 1)]


class Told:
    """A listener that keeps what it was told."""

    def __init__(self) -> None:
        self.held: list[tuple[str, int]] = []
        self.lost: list[tuple[str, int]] = []

    def on_assigned(self, partitions: list[tuple[str, int]]) -> None:
        self.held += partitions

    def on_revoked(self, partitions: list[tuple[str, int]]) -> None:
        self.held = [place for place in self.held if place not in partitions]

    def on_lost(self, partitions: list[tuple[str, int]]) -> None:
        self.lost += partitions
        self.on_revoked(partitions)


class Group:
    """Members of a group, each in a process of its own."""

    def __init__(self, protocol: GroupProtocol, seed: int) -> None:
        self.cluster = SimulatedCluster(seed, brokers=3)
        self.cluster.consumer_groups.session_timeout_s = 2.0
        self.cluster.consumer_groups.heartbeat_s = 0.5
        self.cluster.create("flights", partitions=2)
        self.settings = GroupSettings(protocol, session_timeout_ms=2_000)

    def join(self, name: str) -> tuple[SimulatedMember, Told, Process]:
        process, told = self.cluster.process(name), Told()
        member = SimulatedClients(self.cluster, process).member("g", name, told, self.settings)
        member.subscribe(["flights"])
        return member, told, process

    def poll(self, *members: SimulatedMember, times: int = 30) -> None:
        for _ in range(times):
            for member in members:
                member.poll(10, 0.1)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_whoever_was_forgotten_works_on_until_a_heartbeat_is_answered(protocol: GroupProtocol) -> None:
    """With some seeds; with others it hears at once."""
    worked_on = 0
    for seed in range(10):
        group = Group(protocol, seed)
        first, told, process = group.join("first")
        second, others, _ = group.join("second")
        group.poll(first, second)
        (held,) = told.held
        group.cluster.freeze(process)
        group.poll(second)
        assert sorted(others.held) == PLACES
        group.cluster.thaw(process)
        first.start({held: 0})
        group.cluster.append(*held[:1], None, b"x", partition=held[1])
        polled = first.poll(10, 0.01)
        if first.group_metadata().is_live:
            worked_on += 1
            assert (told.held, told.lost) == ([held], [])
            assert [batch.topic for batch in polled.batches] == ["flights"]
        group.poll(first, second)
        assert told.lost == [held]
    assert worked_on > 0


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_without_a_coordinator_stays_as_it_is(protocol: GroupProtocol) -> None:
    """Nobody is forgotten meanwhile, and who joins waits."""
    group = Group(protocol, 1)
    first, told, process = group.join("first")
    group.poll(first)
    coordinator = group.cluster.brokers.leader(("group", "g"))
    assert coordinator is not None
    group.cluster.brokers.stop(coordinator, for_s=60.0, noticed_after_s=4.0)
    second, others, _ = group.join("second")
    group.cluster.freeze(process)
    group.cluster.clock.sleep(2.5)
    group.cluster.thaw(process)
    group.poll(first, second, times=3)
    assert (sorted(told.held), others.held, told.lost) == (PLACES, [], [])
    group.cluster.clock.sleep(2.0)
    group.poll(first, second)
    assert sorted(told.held + others.held) == PLACES
    assert len(others.held) == 1


def test_an_epoch_goes_up_without_the_worker_hearing_of_it() -> None:
    group = Group("consumer", 1)
    first, told, _ = group.join("first")
    group.poll(first)
    before, held = first.group_metadata(), list(told.held)
    group.cluster.rebalance("g")
    group.cluster.clock.sleep(1.0)
    assert first.group_metadata().generation == before.generation + 1
    group.poll(first)
    assert (told.held, told.lost) == (held, [])
