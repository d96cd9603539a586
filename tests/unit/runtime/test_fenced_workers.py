"""A worker that was fenced, replaced or has a twin: what it lets go of, and how it goes on or ends."""

from __future__ import annotations

import pytest

from penstock.errors import DuplicateIdentity, KafkaUnavailable
from penstock.kafka.group_members import GroupMember
from penstock.kafka.static_instance import InstanceReplaced
from penstock.runtime.limits import WorkerLimits
from tests.unit.runtime.in_memory import Cluster, Running, running
from tests.unit.runtime.sums import sums

US = GroupMember("p.0", "me", "/10.0.0.1")
TWIN = GroupMember("p.0", "other", "/10.0.0.2")
ROWS = 10


def cluster() -> Cluster:
    return Cluster({("in", 0): [(n, b"k", b"%d" % n, n) for n in range(ROWS)]})


def fenced() -> tuple[Cluster, Running]:
    """A worker whose second flush was refused, while another member has its name."""
    log = cluster()
    log.group = [US, TWIN]
    log.faults["flush", 2] = "fenced"
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    while not run.hooks.aborts:
        run.worker.step()
        run.clock.now_s += 0.2
    return log, run


def test_a_worker_that_waits_has_no_task_no_producer_and_no_place_in_the_group() -> None:
    """And it initialises no producer, so that it never fences its twin in turn."""
    log, run = fenced()
    inits, committed = log.calls["init"], len(log.transactions)
    run.worker.step()
    assert not run.worker.tasks
    assert not run.member.is_live
    with pytest.raises(RuntimeError, match="not open"):
        _ = run.worker._session.producer
    for _ in range(20):
        run.worker.step()
    assert (log.calls["init"], len(log.transactions)) == (inits, committed)
    run.clock.now_s += 31
    with pytest.raises(DuplicateIdentity):
        run.worker.run()
    assert run.member.is_closed
    assert (log.calls["init"], len(log.transactions)) == (inits, committed)


def test_a_worker_whose_twin_was_a_ghost_goes_on() -> None:
    log, run = fenced()
    log.group = []
    run.clock.now_s += 11
    run.until_idle()
    assert log.values("out") == [b"%d" % sum(range(n + 1)) for n in range(ROWS)]


def test_a_worker_whose_name_was_taken_over_lets_go_of_everything_and_goes_on_if_nobody_has_it() -> None:
    """However often: it is no fence, of which the third would end it."""
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    for _ in range(4):
        inits = log.calls["init"]
        run.member.trouble = InstanceReplaced("planted")
        run.worker.step()
        assert not run.worker.tasks
        assert not run.member.is_live
        run.worker.step()
        assert log.calls["init"] == inits
        run.clock.now_s += 11
        for _ in range(5):
            run.worker.step()
        assert log.calls["init"] > inits
    run.until_idle()
    assert log.values("out") == [b"%d" % sum(range(n + 1)) for n in range(ROWS)]


def test_a_worker_whose_name_was_taken_over_by_a_live_one_ends() -> None:
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    run.worker.step()
    log.group = [US]  # with the id that was ours: whoever answers to it now is not us, for we are out
    run.member.trouble = InstanceReplaced("planted")
    run.worker.step()
    run.member.member_id = ""
    run.clock.now_s += 31
    with pytest.raises(DuplicateIdentity):
        run.worker.run()


def test_an_error_while_it_waits_initialises_no_producer() -> None:
    log, run = fenced()
    inits = log.calls["init"]
    run.member.trouble = KafkaUnavailable("planted")
    run.worker.step()
    assert len(run.hooks.aborts) == 2
    assert log.calls["init"] == inits


def test_a_worker_without_partitions_initialises_its_producer_all_the_same() -> None:
    """Of two with one identity it may be the newer one, and the older has all the partitions: one of them must end."""
    log = cluster()
    run = running(log, sums())
    run.member.events.clear()
    run.worker.step()
    assert log.calls["init"] == 1
    run.member.is_live = False


def test_a_worker_without_partitions_that_has_a_twin_leaves_and_ends() -> None:
    log = cluster()
    log.group = [US, TWIN]
    run = running(log, sums())
    run.member.events.clear()

    def step() -> None:
        for _ in range(100):
            run.worker.step()
            run.clock.now_s += 1

    with pytest.raises(DuplicateIdentity):
        step()
    assert log.calls["init"] == 1
    assert not run.member.is_live


def test_a_worker_that_has_not_joined_yet_looks_for_nobody() -> None:
    """Whoever has its name may be a predecessor, which is waited for in another way."""
    log = cluster()
    log.group = [TWIN]
    run = running(log, sums())
    run.member.events.clear()
    run.member.is_live = False
    for _ in range(100):
        run.worker.step()
        run.clock.now_s += 1
    run.member.is_live = True
    log.group = []
    run.worker.step()
    assert log.calls["init"] == 1


def test_no_producer_is_initialised_before_the_worker_has_joined() -> None:
    log = cluster()
    run = running(log, sums())
    run.member.events.clear()
    run.member.is_live = False
    run.worker.step()
    run.member.trouble = KafkaUnavailable("planted")
    run.worker.step()
    assert run.hooks.aborts
    assert log.calls["init"] == 0
