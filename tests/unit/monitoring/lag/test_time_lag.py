"""The time lag against the truth, on traffic whose every record's age is known."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from penstock.monitoring.lag.curve import MOST_POINTS, Curve
from penstock.monitoring.lag.time_lag import MOST_ROUNDS, Question, settle
from tests.unit.monitoring.lag.traffic import InMemoryCluster, Log, P

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000
BEGAN_MS = NOW_MS - 7 * DAY_MS


def steady(dice: random.Random) -> list[int | None]:
    del dice
    return [BEGAN_MS + n * 60_000 for n in range(7 * 24 * 60)]


def bursty(dice: random.Random) -> list[int | None]:
    """A hundred records at once, then minutes to hours of nothing."""
    times: list[int | None] = []
    at_ms = BEGAN_MS
    while at_ms < NOW_MS:
        times += [at_ms + n // 10 for n in range(100)]
        at_ms += dice.randrange(60_000, 7_200_000)
    return [t for t in times if t is not None and t < NOW_MS]


def sparse(dice: random.Random) -> list[int | None]:
    times: list[int | None] = []
    at_ms = BEGAN_MS
    while at_ms < NOW_MS:
        times.append(at_ms)
        at_ms += dice.randrange(1_000, DAY_MS)
    return times


@pytest.mark.parametrize("traffic", [steady, bursty, sparse])
@pytest.mark.parametrize("seed", range(3))
def test_from_cold_it_is_right_within_five_per_cent_wherever_the_group_is(
    traffic: Callable[[random.Random], list[int | None]], seed: int
) -> None:
    dice = random.Random(seed)
    log = Log(traffic(dice))
    cluster = InMemoryCluster({P: log})
    for offset in [0, 1, len(log.times_ms) - 1, *(dice.randrange(len(log.times_ms)) for _ in range(40))]:
        curve = Curve()
        curve.look(NOW_MS, len(log.times_ms))
        question = Question(P, offset)
        rounds = settle([question], {P: curve}, NOW_MS, cluster.at_times)
        answer, truth_ms = question.answer(curve, NOW_MS), log.times_ms[offset]
        assert answer is not None
        assert truth_ms is not None
        truth_s = (NOW_MS - truth_ms) / 1000
        assert answer.seconds == pytest.approx(truth_s, rel=0.05, abs=0.3), (offset, rounds)
        assert abs(answer.seconds - truth_s) <= answer.error_s + 0.002, (
            "the truth lies within what is told of the error"
        )
        assert rounds <= MOST_ROUNDS


def test_while_the_exporter_runs_it_asks_the_broker_seldom() -> None:
    """A group that is two minutes behind a steady topic, followed for an hour."""
    log = Log()
    cluster = InMemoryCluster({P: log})
    curve = Curve()
    asked: list[int] = []
    for now_ms in range(BEGAN_MS, BEGAN_MS + 3_600_000, 15_000):
        log.times_ms += [now_ms + n * 1_000 for n in range(15)]
        seen_ms = now_ms + 15_000
        curve.look(seen_ms, len(log.times_ms))
        offset = max(0, len(log.times_ms) - 120)
        question = Question(P, offset)
        asked.append(settle([question], {P: curve}, seen_ms, cluster.at_times))
        answer, truth_ms = question.answer(curve, seen_ms), log.times_ms[offset]
        assert answer is not None
        assert truth_ms is not None
        assert answer.seconds == pytest.approx((seen_ms - truth_ms) / 1000, rel=0.05, abs=0.3)
    assert sum(asked) / len(asked) <= 3


def test_the_first_record_after_an_idle_hour_is_not_an_hour_old() -> None:
    """What stands beside the offset says when the record before came; that the end stood still until now says more."""
    curve = Curve()
    for now_ms in range(NOW_MS - 3_600_000, NOW_MS, 15_000):
        curve.look(now_ms, 100)
    curve.look(NOW_MS, 101)
    answer = Question(P, 100, beacon_ms=NOW_MS - 3_600_000).answer(curve, NOW_MS)
    assert answer is not None
    assert answer.seconds <= 15


def test_a_beacon_makes_the_answer_no_older_than_itself() -> None:
    curve = Curve()
    curve.look(NOW_MS, 200)
    answer = Question(P, 100, beacon_ms=NOW_MS - 30_000).answer(curve, NOW_MS)
    assert answer is not None
    assert answer.seconds + answer.error_s <= 30


def test_what_nobody_knows_is_not_told() -> None:
    curve = Curve()
    curve.look(NOW_MS, 200)
    assert Question(P, 100).answer(curve, NOW_MS) is None


def test_a_clock_that_is_ahead_makes_no_negative_age_and_stops_nothing() -> None:
    log = Log([NOW_MS + 60_000] * 10)
    curve, question = Curve(), Question(P, 3)
    curve.look(NOW_MS, 10)
    settle([question], {P: curve}, NOW_MS, InMemoryCluster({P: log}).at_times)
    answer = question.answer(curve, NOW_MS)
    assert answer is None or answer.seconds >= 0
    curve.look(NOW_MS + 15_000, 20)
    assert curve.when(15) == (NOW_MS, NOW_MS + 15_000)


def test_timestamps_that_do_not_ascend_end_the_search_all_the_same() -> None:
    dice = random.Random(1)
    times: list[int | None] = [NOW_MS - dice.randrange(DAY_MS) for _ in range(500)]
    cluster = InMemoryCluster({P: Log(times)})
    for offset in range(0, 500, 25):
        curve, question = Curve(), Question(P, offset)
        curve.look(NOW_MS, 500)
        assert settle([question], {P: curve}, NOW_MS, cluster.at_times) <= MOST_ROUNDS
        answer = question.answer(curve, NOW_MS)
        assert answer is None or 0 <= answer.seconds <= 86_400


def test_where_compaction_took_the_oldest_records_the_next_that_is_left_counts() -> None:
    log = Log([None] * 90 + [NOW_MS - 600_000 + n * 1_000 for n in range(10)])
    curve, question = Curve(), Question(P, 5)
    curve.look(NOW_MS, 100)
    settle([question], {P: curve}, NOW_MS, InMemoryCluster({P: log}).at_times)
    answer = question.answer(curve, NOW_MS)
    assert answer is not None
    assert answer.seconds == pytest.approx(600, rel=0.05)


def test_a_curve_stays_small_and_knows_what_was_lately_best() -> None:
    curve = Curve()
    for second in range(100_000):
        curve.look(NOW_MS + second * 1_000, second * 5)
        assert len(curve) <= MOST_POINTS
    low_ms, high_ms = curve.when(99_990 * 5)
    assert (low_ms, high_ms) == (NOW_MS + 99_990_000, NOW_MS + 99_991_000)


def test_a_topic_made_anew_begins_a_new_curve() -> None:
    curve = Curve()
    curve.look(NOW_MS, 100)
    curve.look(NOW_MS + 1_000, 7)
    assert curve.when(50) == (NOW_MS + 1_000, None)
