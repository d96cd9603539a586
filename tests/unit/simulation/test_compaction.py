"""What a simulated cleaner takes away, what it has to leave, and that pipelines do not notice."""

from __future__ import annotations

import pytest

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.partition import SimulatedPartition
from penstock.testing.simulation.scenario import Scenario, scenario_of
from penstock.testing.simulation.shape import Shape
from penstock.testing.simulation.world import play


def filled(*pairs: str, stay_ms: int = 1_000, policy: str = "compact") -> tuple[SimulatedCluster, SimulatedPartition]:
    """A record for each `key=value`, nothing behind `=` for a tombstone; the last one is the active segment."""
    cluster = SimulatedCluster()
    cluster.create("prices", config={"cleanup.policy": policy, "delete.retention.ms": f"{stay_ms}"})
    for pair in pairs:
        key, _, value = pair.partition("=")
        cluster.append("prices", key.encode(), value.encode() or None)
    return cluster, cluster.partition(("prices", 0))


def shown(log: SimulatedPartition) -> list[str]:
    """What a reader of everything is given."""
    found, _ = log.fetch(0, 1_000, "read_uncommitted")
    return [f"{(entry.key or b'').decode()}={(entry.value or b'').decode()}" for entry in found]


def test_the_last_of_each_key_stays_where_it_stood() -> None:
    cluster, log = filled("a=1", "b=1", "a=2", "z=")
    cluster.cleaner.clean()
    assert shown(log) == ["b=1", "a=2", "z="]
    assert [entry.offset for entry in log.fetch(0, 10, "read_committed")[0]] == [1, 2, 3]
    assert (cluster.cleaner.cleaned, log.begin, log.high_watermark) == (1, 0, 4)


def test_what_is_behind_in_the_active_segment_spares_nothing_and_costs_nothing() -> None:
    cluster, log = filled("a=1", "a=2", "a=3", "a=4")
    cluster.cleaner.clean(lambda: 2)
    assert shown(log) == ["a=2", "a=3", "a=4"]


def test_a_log_that_is_all_active_segment_stays_as_it_is() -> None:
    cluster, log = filled("a=1", "a=2", "a=3", "a=4", "a=5")
    cluster.cleaner.clean(lambda: 6)
    assert shown(log) == ["a=1", "a=2", "a=3", "a=4", "a=5"]


def test_what_is_not_decided_stays_and_so_does_all_behind_it() -> None:
    cluster, log = filled("a=1", "a=2")
    log.append(b"h", b"open", 1, producer_id=7, epoch=0)
    for value in (b"3", b"4", b"5"):
        log.append(b"a", value, 1)
    cluster.cleaner.clean()
    assert shown(log) == ["a=2", "h=open", "a=3", "a=4", "a=5"]
    log.mark(7, 0, 1, commit=False)
    cluster.cleaner.clean()
    assert shown(log) == ["a=5"]


def test_a_tombstone_stays_for_its_time_and_then_goes() -> None:
    cluster, log = filled("a=1", "a=", "z=1", stay_ms=1_000)
    cluster.cleaner.clean()
    cluster.clock.sleep(0.9)
    cluster.cleaner.clean()
    assert shown(log) == ["a=", "z=1"]
    cluster.clock.sleep(0.2)
    cluster.cleaner.clean()
    assert shown(log) == ["z=1"]


def test_a_key_that_comes_back_is_not_taken_for_deleted() -> None:
    cluster, log = filled("a=1", "a=", "z=1", stay_ms=1_000)
    cluster.cleaner.clean()
    cluster.append("prices", b"a", b"2")
    cluster.append("prices", b"z", b"2")
    cluster.cleaner.clean()
    cluster.clock.sleep(2.0)
    cluster.cleaner.clean()
    assert shown(log) == ["z=1", "a=2", "z=2"]


def test_topics_that_are_not_compacted_are_spared() -> None:
    cluster, log = filled("a=1", "a=2", "a=3", policy="delete")
    cluster.cleaner.clean()
    assert shown(log) == ["a=1", "a=2", "a=3"]


def test_changelogs_are_compacted_under_the_simulated_workers() -> None:
    """Or it would show nothing that they do not notice."""
    assert all(play(scenario_of(seed)).cluster.cleaner.cleaned > 0 for seed in range(3))


def test_a_cleaner_that_takes_the_last_of_a_key_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers see by the digest that their state is not whole, and stop in front of it."""
    compact = SimulatedPartition.compact

    def one_too_many(self: SimulatedPartition, end: int, now_ms: int, tombstones_stay_ms: int) -> int:
        for entry in self._entries[:end]:
            is_state = (entry.key or b"\0")[:1] != b"\0"  # and no commit record
            entry.is_gone = entry.is_gone or (is_state and bool(entry.is_committed))
        return compact(self, end, now_ms, tombstones_stay_ms)

    monkeypatch.setattr(SimulatedPartition, "compact", one_too_many)
    scenarios = [Scenario(seed, Shape(keys=2), faults=scenario_of(seed).faults) for seed in range(6)]
    names = {finding.name for scenario in scenarios for finding in play(scenario).findings}
    assert "stopped" in names
