"""Static members of a simulated group, and pipelines whose workers are such."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError, DuplicateIdentity
from penstock.kafka.client import Connection
from penstock.kafka.group_settings import GroupSettings
from penstock.runtime.opening import WorkerSurroundings
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.groups import GroupCoordinator
from penstock.testing.cluster.member import SimulatedMember
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.worker import SimulatedWorker
from penstock.testing.simulation.finding import findings
from penstock.testing.simulation.progress import Progress
from penstock.testing.simulation.scenario import Fault, Scenario, scenario_of
from penstock.testing.simulation.shape import IN, PIPELINE, Shape
from penstock.testing.simulation.world import play
from penstock.testing.stepped_worker import Steps
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


def test_a_static_worker_that_is_fenced_loses_its_place_in_the_group_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    on_abort = Steps.on_abort

    def noted(self: Steps, error: Exception) -> None:
        told.append(type(error).__name__)
        on_abort(self, error)

    monkeypatch.setattr(Steps, "on_abort", noted)
    fault = Fault(0, "poll", nth=20, action="fence")
    assert play(Scenario(1, Shape(), faults=(fault,), is_static=True)).findings == []
    assert "InstanceReplaced" in told


class Usurped:
    """A static worker in the middle of its work, by whose name another member has entered."""

    def __init__(self, folder: Path) -> None:
        self.scenario = Scenario(1, Shape(), is_static=True)
        self.cluster = SimulatedCluster(1)
        self.cluster.create(IN, self.scenario.shape.partitions)
        topology = self.scenario.shape.build().topology()
        around = WorkerSurroundings(
            Connection("simulated"), None, folder, session_timeout_ms=2_000, static_membership=True
        )
        self.worker = SimulatedWorker(self.cluster, topology, around)
        self.progress = Progress(self.cluster, topology)
        self.worker.start()
        for number in range(100):
            self.cluster.append(IN, f"{number % 7}".encode(), f"{number}/{number}".encode())
            self.worker.step()
        told, self.process = Partitions([]), self.cluster.process("ghost")
        settings = replace(SETTINGS, instance_id=self.worker.name)
        clients = SimulatedClients(self.cluster, self.process)
        self.ghost: SimulatedMember = clients.member(PIPELINE, self.worker.name, told, settings)
        self.ghost.subscribe([IN])
        while not told.held:
            self.ghost.poll(10, 0.1)

    def step_until(self, is_so: Callable[[], bool]) -> None:
        """The worker; its new input comes meanwhile."""
        for number in range(100, 1_000):
            if is_so():
                return
            if number < 200:
                self.cluster.append(IN, b"1", f"{number}/{number}".encode())
            self.worker.step()
        raise AssertionError(self.progress.left())


def test_a_worker_whose_name_is_taken_by_nobody_alive_takes_it_back_and_goes_on(tmp_path: Path) -> None:
    usurped = Usurped(tmp_path)
    usurped.cluster.kill(usurped.process)
    worker, at = usurped.worker, usurped.progress.committed()
    usurped.step_until(lambda: "InstanceReplaced" in {type(error).__name__ for error in worker.hooks.aborts})
    assert usurped.progress.committed() == at  # nothing of it was committed behind the other one's back
    usurped.step_until(lambda: worker.is_idle and not usurped.progress.left() and usurped.progress.committed() > at)
    assert worker.is_alive
    usurped.cluster.kill(worker.process)
    usurped.cluster.clock.sleep(100.0)
    assert findings(usurped.cluster, usurped.scenario) == []


def test_a_worker_whose_name_a_live_one_has_ends(tmp_path: Path) -> None:
    usurped = Usurped(tmp_path)

    def has_ended() -> bool:
        usurped.ghost.poll(10, 0.01)
        return not usurped.worker.is_alive

    usurped.step_until(has_ended)
    assert isinstance(usurped.worker.failure, DuplicateIdentity)
