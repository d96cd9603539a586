"""When a worker is started again, and when that is hopeless."""

from __future__ import annotations

import random

import pytest

from penstock.supervisor.deaths import FIRST_DELAY_S, LONGEST_DELAY_S, Deaths, allowed


def test_the_wait_doubles_with_each_death_up_to_a_bound() -> None:
    deaths = Deaths(1_000, random.Random(1))
    for count in range(1, 40):
        deaths.note(0, now_s=float(count))
        longest_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (count - 1))
        assert longest_s / 2 <= deaths.delay_s(0) <= longest_s


def test_workers_that_died_together_do_not_come_back_together() -> None:
    deaths = Deaths(1_000, random.Random(1))
    for worker in range(20):
        deaths.note(worker, now_s=0.0)
    delays_s = {deaths.delay_s(worker) for worker in range(20)}
    assert len(delays_s) == 20


def test_a_worker_does_not_wait_for_the_deaths_of_others() -> None:
    deaths = Deaths(1_000, random.Random(1))
    for _ in range(10):
        deaths.note(0, now_s=0.0)
    deaths.note(1, now_s=0.0)
    assert deaths.delay_s(1) <= FIRST_DELAY_S


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_that_each_dies_once_at_the_same_moment_is_no_crash_loop(workers: int) -> None:
    deaths = Deaths(allowed(workers), random.Random(1))
    for worker in range(workers):
        deaths.note(worker, now_s=0.0)
    assert not deaths.is_loop


def test_a_death_that_goes_from_worker_to_worker_is_a_crash_loop() -> None:
    deaths = Deaths(allowed(4), random.Random(1))
    for turn in range(9):
        assert not deaths.is_loop
        deaths.note(turn % 4, now_s=float(turn))
    assert deaths.is_loop


def test_deaths_of_more_than_a_minute_ago_are_forgotten() -> None:
    deaths = Deaths(2, random.Random(1))
    for now_s in (0.0, 30.0, 61.0, 91.0, 122.0):
        deaths.note(0, now_s)
        assert not deaths.is_loop
    assert deaths.count == 2
    assert deaths.delay_s(0) <= FIRST_DELAY_S * 2
