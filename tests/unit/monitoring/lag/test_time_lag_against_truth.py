"""The time lag of a group that is followed for an hour, against the true age of the next record that it can read.

An observer looks every fifteen seconds, as in life, at a cluster whose every record's age is known. Whatever comes in
and however far behind the group is, what is told is wrong by five per cent at most, or by a quarter of a second.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import pytest

from penstock.monitoring.lag.observer import Observer, ObserverRules
from tests.unit.monitoring.lag.traffic import InMemoryCluster, Log, P
from tests.unit.publishing.in_memory import ManualClock

MINUTE_MS: Final = 60_000
BEGAN_MS: Final = 1_700_000_000_000
LOOKS: Final = 240
EVERY_MS: Final = 15_000
GROUP: Final = "g"


@dataclass(frozen=True)
class Written:
    """A record or marker.

    Attributes:
        at_ms: when.
        is_read: whether a read_committed consumer is given it.
        is_gone: whether compaction takes it, two minutes later.
    """

    at_ms: int
    is_read: bool = True
    is_gone: bool = False


Traffic = Callable[[random.Random], Iterator[Written]]


def steady(dice: random.Random) -> Iterator[Written]:
    """Five a second."""
    del dice
    yield from (Written(BEGAN_MS + n * 200) for n in range(5 * 3_700))


def bursty(dice: random.Random) -> Iterator[Written]:
    """A hundred at once, then nothing for up to five minutes."""
    at_ms = BEGAN_MS
    while True:
        yield from (Written(at_ms + n // 10) for n in range(100))
        at_ms += dice.randrange(1_000, 5 * MINUTE_MS)


def sparse(dice: random.Random) -> Iterator[Written]:
    """One in a while, up to ten minutes."""
    at_ms = BEGAN_MS
    while True:
        yield Written(at_ms)
        at_ms += dice.randrange(1_000, 10 * MINUTE_MS)


def transactional(dice: random.Random) -> Iterator[Written]:
    """Transactions of a tenth of a second with a marker each, half of them aborted."""
    at_ms = BEGAN_MS
    while True:
        is_committed = dice.random() < 0.5
        yield from (Written(at_ms + n * 30, is_read=is_committed) for n in range(3))
        at_ms += 100
        yield Written(at_ms, is_read=False)


def compacted(dice: random.Random) -> Iterator[Written]:
    """Two a second, of which compaction leaves one in a hundred."""
    yield from (Written(BEGAN_MS + n * 500, is_gone=dice.random() < 0.99) for n in range(2 * 3_700))


def ended(dice: random.Random) -> Iterator[Written]:
    """Ten minutes of transactions, then nothing any more; the last offset is a marker."""
    for written in transactional(dice):
        yield written
        if written.at_ms > BEGAN_MS + 10 * MINUTE_MS and not written.is_read:
            return


class Told(NamedTuple):
    """One look: what is told and how wrong it may be, and the truth; seconds."""

    seconds: float
    error_s: float
    truth_s: float


def follow(
    traffic: Traffic, behind_ms: int, *, hangs_from_ms: int | None = None, rules: ObserverRules | None = None
) -> list[Told]:
    """Every look at a group that has read all but the last `behind_ms`.

    Args:
        traffic: what comes in.
        behind_ms: 0 = the group has read, and committed behind, all that it can.
        hangs_from_ms: from then on a transaction is open and nobody ends it.
        rules: of the observer.
    """
    records = traffic(random.Random(behind_ms))
    coming = next(records, None)
    log, clock = Log(), ManualClock()
    cluster = InMemoryCluster({P: log}, are_compacted=frozenset({"in"}) if traffic is compacted else frozenset())
    observer = Observer(cluster, rules or ObserverRules(), clock)
    times_ms: list[int] = []
    committed, gone, told = 0, deque[int](), list[Told]()
    for look in range(LOOKS):
        now_ms = BEGAN_MS + look * EVERY_MS
        clock.now_s = now_ms / 1000
        while coming is not None and coming.at_ms <= now_ms:
            if hangs_from_ms is not None and log.open_from is None and coming.at_ms >= hangs_from_ms:
                log.open_from = len(times_ms)
            if not coming.is_read:
                log.unread.add(len(times_ms))
            times_ms.append(coming.at_ms)
            gone += [len(log.times_ms)] if coming.is_gone else []
            log.times_ms.append(coming.at_ms)
            coming = next(records, None)
        while gone and times_ms[gone[0]] < now_ms - 2 * MINUTE_MS:
            log.times_ms[gone.popleft()] = None
        limit = log.extent().last_stable
        while committed < limit and times_ms[committed] <= now_ms - behind_ms:
            committed += 1
        cluster.commit(GROUP, committed)
        (backlog,) = observer.cycle().backlogs
        next_ms = log.next_ms(committed)
        assert backlog.time_lag is not None
        lag = backlog.time_lag
        told.append(Told(lag.seconds, lag.error_s, 0.0 if next_ms is None else (now_ms - next_ms) / 1000))
    return told


def assert_right(told: list[Told]) -> None:
    for look, each in enumerate(told):
        assert each.seconds == pytest.approx(each.truth_s, rel=0.05, abs=0.25), (look, each)


BEHIND = pytest.mark.parametrize("behind_ms", [30_000, MINUTE_MS, 20 * MINUTE_MS], ids=["30s", "1min", "20min"])


@BEHIND
@pytest.mark.parametrize("traffic", [steady, bursty, sparse], ids=lambda each: each.__name__)
def test_it_is_right_within_five_per_cent(traffic: Traffic, behind_ms: int) -> None:
    told = follow(traffic, behind_ms)
    assert max(each.truth_s for each in told) > behind_ms / 1000 * 0.5, "the group was that far behind"
    assert_right(told)


@pytest.mark.parametrize("behind_ms", [MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS], ids=["1min", "5min", "20min"])
def test_on_a_compacted_topic_it_is_the_age_of_the_next_record_that_is_left(behind_ms: int) -> None:
    told = follow(compacted, behind_ms)
    assert max(each.truth_s for each in told) > behind_ms / 1000 * 0.8
    assert_right(told)


@pytest.mark.parametrize("behind_ms", [MINUTE_MS, 20 * MINUTE_MS], ids=["1min", "20min"])
def test_with_aborted_transactions_it_is_right_within_five_per_cent(behind_ms: int) -> None:
    """Offsets cannot tell an aborted record from the one behind it: it is too long by the aborted ones in between."""
    told = follow(transactional, behind_ms)
    assert max(each.truth_s for each in told) > behind_ms / 1000 * 0.9
    assert_right(told)


def test_an_idle_group_behind_a_commit_marker_is_not_behind() -> None:
    """Its workers commit behind the marker, as those of penstock do."""
    told = follow(ended, 0)
    assert {each.seconds for each in told[-100:]} == {each.truth_s for each in told[-100:]} == {0.0}


def test_behind_a_hanging_transaction_a_group_that_has_read_all_it_can_is_not_behind() -> None:
    told = follow(steady, 0, hangs_from_ms=BEGAN_MS + 10 * MINUTE_MS)
    assert {each.seconds for each in told[50:]} == {each.truth_s for each in told[50:]} == {0.0}


@pytest.mark.parametrize("behind_ms", [MINUTE_MS, 20 * MINUTE_MS], ids=["1min", "20min"])
def test_in_front_of_a_hanging_transaction_it_is_right_within_five_per_cent(behind_ms: int) -> None:
    """The group gets on as far as the transaction, and is at its beginning in the end."""
    told = follow(steady, behind_ms, hangs_from_ms=BEGAN_MS + 30 * MINUTE_MS)
    assert_right(told)
    assert told[-1].truth_s == 0
