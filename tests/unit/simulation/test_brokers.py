"""Which broker leads what, while some of them are down."""

from __future__ import annotations

import pytest

from penstock.testing.cluster.brokers import Brokers, Seat
from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import ProcessDied, Trouble
from penstock.testing.cluster.refusal import NotAnswered

SEAT: Seat = ("flights", 0)


def three() -> tuple[SimulatedClock, Brokers, int]:
    clock = SimulatedClock()
    brokers = Brokers(clock, 3)
    leader = brokers.leader(SEAT)
    assert leader is not None
    return clock, brokers, leader


def test_nobody_leads_until_the_others_notice() -> None:
    clock, brokers, leader = three()
    brokers.stop(leader, for_s=10.0, noticed_after_s=2.0)
    assert brokers.leader(SEAT) is None
    clock.sleep(1.9)
    assert brokers.leader(SEAT) is None
    clock.sleep(0.2)
    assert brokers.leader(SEAT) in set(brokers.ids) - {leader}


def test_whoever_leads_goes_on_when_the_one_before_is_back() -> None:
    clock, brokers, leader = three()
    brokers.stop(leader, for_s=3.0, noticed_after_s=1.0)
    clock.sleep(2.0)
    successor = brokers.leader(SEAT)
    clock.sleep(2.0)
    assert leader in brokers.up
    assert brokers.leader(SEAT) == successor != leader


def test_a_leader_that_is_back_before_anybody_notices_leads_on() -> None:
    clock, brokers, leader = three()
    brokers.stop(leader, for_s=1.0, noticed_after_s=4.0)
    clock.sleep(1.1)
    assert brokers.leader(SEAT) == leader
    clock.sleep(5.0)
    assert brokers.leader(SEAT) == leader


def test_with_two_of_three_down_nobody_answers_for_anything() -> None:
    clock, brokers, leader = three()
    other = next(broker for broker in brokers.ids if broker != leader)
    brokers.stop(other, for_s=2.0, noticed_after_s=0.1)
    assert brokers.leader(SEAT) == leader
    brokers.stop(leader, for_s=5.0, noticed_after_s=0.1)
    clock.sleep(1.0)
    assert brokers.leader(SEAT) is None
    clock.sleep(1.1)
    assert brokers.leader(SEAT) in set(brokers.ids) - {leader}


def test_a_second_stop_of_one_that_is_down_changes_nothing() -> None:
    clock, brokers, leader = three()
    brokers.stop(leader, for_s=1.0, noticed_after_s=9.0)
    brokers.stop(leader, for_s=9.0, noticed_after_s=9.0)
    clock.sleep(1.1)
    assert brokers.leader(SEAT) == leader


def test_what_is_led_is_spread_over_the_brokers() -> None:
    _, brokers, _ = three()
    assert {brokers.leader(("flights", number)) for number in range(20)} == {1, 2, 3}


def test_a_request_waits_for_a_leader_and_is_given_up_in_time() -> None:
    cluster = SimulatedCluster(brokers=3)
    cluster.create("flights")
    leader = cluster.brokers.leader(SEAT)
    assert leader is not None
    cluster.brokers.stop(leader, for_s=60.0, noticed_after_s=2.0)
    process = cluster.process("p")
    with pytest.raises(NotAnswered):
        cluster.network.send(process, "produce", lambda: "done", SEAT, 1.0)
    assert cluster.clock.monotonic_s() == pytest.approx(1.0, abs=0.2)
    assert cluster.network.send(process, "produce", lambda: "done", SEAT, 5.0) == "done"
    assert 2.0 <= cluster.clock.monotonic_s() < 2.5


def test_a_slow_connection_slows_what_goes_to_that_broker() -> None:
    cluster = SimulatedCluster(brokers=3)
    places = [("flights", number) for number in range(9)]
    near, far = (next(p for p in places if cluster.brokers.leader(p) == broker) for broker in (1, 2))
    process = cluster.process("p")
    process.lags[2] = (0.5, 10.0)
    cluster.network.send(process, "produce", lambda: None, near)
    assert cluster.clock.monotonic_s() < 0.01
    cluster.network.send(process, "produce", lambda: None, far)
    assert cluster.clock.monotonic_s() > 0.5
    cluster.clock.sleep(10.0)
    before_s = cluster.clock.monotonic_s()
    cluster.network.send(process, "produce", lambda: None, far)
    assert cluster.clock.monotonic_s() - before_s < 0.01


def test_a_request_outlives_its_sender() -> None:
    cluster = SimulatedCluster()
    process = cluster.process("p")
    process.troubles["end", 1] = Trouble("die meanwhile", 2.0)
    arrived: list[float] = []
    with pytest.raises(ProcessDied):
        cluster.network.send(process, "end", lambda: arrived.append(cluster.clock.monotonic_s()), SEAT)
    assert not process.is_alive
    assert not arrived
    cluster.clock.sleep(3.0)
    assert arrived == [2.0]


@pytest.mark.parametrize(("what", "times"), [("leader stops before", 1), ("leader stops behind", 2)])
def test_a_request_is_sent_again_when_its_broker_stops(what: str, times: int) -> None:
    cluster = SimulatedCluster(brokers=3)
    leader = cluster.brokers.leader(SEAT)
    process = cluster.process("p")
    process.troubles["produce", 1] = Trouble("leader stops before" if times == 1 else "leader stops behind", 60.0)
    handled: list[str] = []
    cluster.network.send(process, "produce", lambda: handled.append(what), SEAT)
    assert len(handled) == times
    assert cluster.brokers.leader(SEAT) != leader
