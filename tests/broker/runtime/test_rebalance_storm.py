"""Rebalances that come faster than work settles, and takeovers inside takeovers."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.cast import Cast
from tests.broker.runtime.numbers_topic import Trickle

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

PARTITIONS, KEYS = 6, 24
EVERY_S = 3.0
TAKEOVER_S = 30.0
FULL = pytest.mark.full


@pytest.fixture(autouse=True)
def _needs_files(kafka: KafkaUnderTest) -> None:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")


@pytest.mark.parametrize(
    ("seed", "changes", "has_beside", "options"),
    [
        pytest.param(1, 6, False, (), id="cooperative-sticky"),
        pytest.param(2, 40, False, (), id="cooperative-sticky-long", marks=FULL),
        pytest.param(3, 40, True, (), id="range-long", marks=FULL),
        pytest.param(4, 40, False, ("--protocol", "consumer"), id="KIP-848-long", marks=FULL),
        pytest.param(5, 40, True, ("--protocol", "consumer"), id="KIP-848-range-long", marks=FULL),
    ],
)
def test_a_member_that_joins_leaves_or_dies_every_three_seconds_changes_nothing(
    kafka: KafkaUnderTest, tmp_path: Path, seed: int, changes: int, has_beside: bool, options: tuple[str, ...]
) -> None:
    chance, pace = random.Random(seed), threading.Event()
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS, has_beside=has_beside)
    beside = () if trickle.beside is None else ("--beside", trickle.beside)
    cast = Cast(kafka, trickle.topic, PARTITIONS, tmp_path, (*options, *beside))
    try:
        with trickle:
            cast.join("a")
            cast.join("b")
            cast.advance()
            before = cast.offsets()
            for _ in range(changes):
                pace.wait(EVERY_S)
                away = sorted({"a", "b", "c", "d"} - cast.alive.keys())
                if len(cast.alive) < 2 or (len(away) > 0 and chance.random() < 0.5):
                    cast.join(chance.choice(away))
                elif chance.random() < 0.5:
                    cast.leave(chance.choice(sorted(cast.alive)))
                else:
                    cast.kill(chance.choice(sorted(cast.alive)))
            after = cast.offsets()
            cast.advance()
        cast.finish(trickle.numbers)
    finally:
        cast.close()
    assert all(now > then for now, then in zip(after, before, strict=True)), "nobody got anywhere in the storm"


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        pytest.param("send offsets", ("takeover",), ()),
        pytest.param("commit", ("commit", "--after", "claim"), ()),
        pytest.param("send offsets", ("send offsets", "--after", "claim"), (), marks=FULL),
        pytest.param("flush", ("flush", "--after", "claim"), (), marks=FULL),
        pytest.param("send offsets", ("takeover",), ("--protocol", "consumer"), marks=FULL),
        pytest.param("commit", ("commit", "--after", "claim"), ("--protocol", "consumer"), marks=FULL),
    ],
    ids=str,
)
def test_whoever_takes_over_may_die_of_it(
    kafka: KafkaUnderTest, tmp_path: Path, first: str, second: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """One dies with a transaction open, the next one while it ends that or claims the tasks; the third goes on."""
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS)
    cast = Cast(kafka, trickle.topic, PARTITIONS, tmp_path, options)
    try:
        with trickle:
            cast.join("a", "--waits", "--step", first, "--nth", "4")
            cast.until_members(1)
            cast.advance()
            cast.join("b", "--waits", "--nth", "1", "--step", *second)
            until(lambda: {name for name, _ in cast.owners()} == {"a", "b"})
            cast.arm("b")
            cast.arm("a")
            cast.until_it_is_dead("a")
            cast.until_it_is_dead("b")
            cast.join("c")
            cast.advance(TAKEOVER_S)
            cast.until_visible(TAKEOVER_S)
        cast.finish(trickle.numbers)
    finally:
        cast.close()
