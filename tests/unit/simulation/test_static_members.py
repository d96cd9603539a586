"""Static members of a simulated group, and pipelines whose workers are such."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.errors import ConfigurationError
from penstock.kafka.group_settings import GroupSettings
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.groups import GroupCoordinator
from penstock.testing.cluster.process import Process
from penstock.testing.simulation.scenario import Scenario, scenario_of
from penstock.testing.simulation.world import play
from tests.contract.stage import Partitions

SETTINGS = GroupSettings(session_timeout_ms=2_000, instance_id="one")


def test_a_name_is_free_when_the_session_of_whoever_was_killed_is_over() -> None:
    """Until then its partitions are its successor's, and nobody else's."""
    cluster = SimulatedCluster()
    cluster.create("flights")
    place = ("flights", 0)

    def joined(settings: GroupSettings) -> tuple[Partitions, Process]:
        told, process = Partitions([]), cluster.process("p")
        member = SimulatedClients(cluster, process).member("g", "p", told, settings)
        member.subscribe(["flights"])
        for _ in range(5):
            member.poll(10, 0.1)
        return told, process

    first, process = joined(SETTINGS)
    assert first.held == [place]
    cluster.kill(process)
    cluster.clock.sleep(1.0)
    second, process = joined(SETTINGS)
    assert second.held == [place]
    cluster.kill(process)
    cluster.clock.sleep(2.1)
    other, _ = joined(replace(SETTINGS, instance_id="two"))
    assert other.held == [place]


def test_the_newer_protocol_has_none() -> None:
    cluster = SimulatedCluster()
    clients = SimulatedClients(cluster, cluster.process("p"))
    with pytest.raises(ConfigurationError, match="by the classic protocol only"):
        clients.member("g", "p", Partitions([]), replace(SETTINGS, protocol="consumer"))


def test_some_of_the_random_pipelines_have_static_members() -> None:
    scenarios = [scenario_of(seed) for seed in range(60)]
    assert any(scenario.is_static for scenario in scenarios)
    assert not any(scenario.is_static and scenario.protocol == "consumer" for scenario in scenarios)


def classic(seeds: range) -> list[Scenario]:
    """With static members all of them."""
    scenarios = [scenario_of(seed) for seed in seeds]
    return [replace(scenario, is_static=True) for scenario in scenarios if scenario.protocol == "classic"]


def test_static_workers_that_die_and_come_back_in_time_have_their_tasks_back(monkeypatch: pytest.MonkeyPatch) -> None:
    succeeded: list[bool] = []
    has_succeeded = GroupCoordinator._has_succeeded

    def noted(self: GroupCoordinator, *args: object) -> bool:
        succeeded.append(has_succeeded(self, *args))  # type: ignore[arg-type]
        return succeeded[-1]

    monkeypatch.setattr(GroupCoordinator, "_has_succeeded", noted)
    for scenario in classic(range(10)):
        assert play(scenario).findings == [], scenario.seed
    assert any(succeeded)
