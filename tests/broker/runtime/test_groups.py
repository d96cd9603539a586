"""Several workers of one pipeline: whoever comes, goes, dies or stands still, the result is that of one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.cast import Cast
from tests.broker.runtime.numbers_topic import Trickle

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

PARTITIONS, KEYS = 6, 24


@contextmanager
def cast_over(trickle: Trickle, kafka: KafkaUnderTest, root: Path, *options: str) -> Generator[Cast]:
    beside = () if trickle.beside is None else ("--beside", trickle.beside)
    cast = Cast(kafka, trickle.topic, PARTITIONS, root, (*options, *beside))
    try:
        yield cast
    finally:
        cast.close()


@pytest.fixture(autouse=True)
def _needs_files(kafka: KafkaUnderTest) -> None:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")


@pytest.mark.parametrize(
    ("has_beside", "options"),
    [
        pytest.param(False, (), id="cooperative-sticky"),
        pytest.param(True, (), id="range", marks=pytest.mark.full),
        pytest.param(False, ("--protocol", "consumer"), id="KIP-848"),
        pytest.param(True, ("--protocol", "consumer"), id="KIP-848-range", marks=pytest.mark.full),
        pytest.param(False, ("--static",), id="static", marks=pytest.mark.full),
        pytest.param(True, ("--static",), id="range-static", marks=pytest.mark.full),
        pytest.param(False, ("--static", "--protocol", "consumer"), id="KIP-848-static", marks=pytest.mark.full),
    ],
)
def test_workers_that_join_leave_die_and_stand_still_change_nothing(
    kafka: KafkaUnderTest, tmp_path: Path, has_beside: bool, options: tuple[str, ...]
) -> None:
    """Two, then three workers; one leaves, one is killed, one stands still until the group has forgotten it."""
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS, has_beside=has_beside)
    with cast_over(trickle, kafka, tmp_path, *options) as cast:
        with trickle:
            cast.join("a")
            cast.join("b")
            cast.until_members(2)
            cast.advance()
            cast.join("c")
            cast.until_members(3)
            cast.advance()
            cast.leave("a")
            cast.advance()
            cast.kill("b")
            cast.advance()
            cast.join("a")
            cast.until_members(2)
            cast.advance()
            cast.stop("c")
            cast.until_members(1)
            cast.advance()
            cast.wake("c")
            cast.until_members(2)
            cast.advance()
        found = cast.finish(trickle.numbers)
    assert found.transactions > 100


@pytest.mark.parametrize(
    ("has_beside", "options"),
    [
        pytest.param(False, (), id="cooperative-sticky"),
        pytest.param(True, (), id="range"),
        pytest.param(True, ("--protocol", "consumer"), id="KIP-848-range", marks=pytest.mark.full),
    ],
)
def test_a_task_that_stays_where_it_is_goes_on_without_a_new_claim(
    kafka: KafkaUnderTest, tmp_path: Path, has_beside: bool, options: tuple[str, ...]
) -> None:
    """A worker joins: what moves is claimed once, what does not is not restored."""
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS, has_beside=has_beside)
    with cast_over(trickle, kafka, tmp_path, *options) as cast:
        with trickle:
            cast.join("a")
            cast.join("b")
            cast.until_members(2)
            until(lambda: {name for name, _ in cast.owners()} == {"a", "b"})
            cast.advance()
            before = cast.owners()
            cast.join("c")
            until(lambda: {name for name, _ in cast.owners()} == {"a", "b", "c"})
            cast.advance()
            after = cast.owners()
        cast.finish(trickle.numbers)
    moved = [now for now, then in zip(after, before, strict=True) if now[0] != then[0]]
    assert 0 < len(moved) < PARTITIONS
    for now, then in zip(after, before, strict=True):
        assert now[1] == then[1] + (1 if now[0] != then[0] else 0)


@pytest.mark.parametrize(
    "options", [("--static",), pytest.param(("--static", "--protocol", "consumer"), marks=pytest.mark.full)]
)
def test_a_static_member_that_restarts_moves_nothing(
    kafka: KafkaUnderTest, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """It has its partitions back within the session time-out; the other one is not asked for anything."""
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS)
    with cast_over(trickle, kafka, tmp_path, "--session-timeout-ms", "20000", *options) as cast:
        with trickle:
            cast.join("a")
            cast.join("b")
            until(lambda: {name for name, _ in cast.owners()} == {"a", "b"})
            cast.advance()
            before = cast.owners()
            cast.leave("a")
            cast.join("a")
            until(lambda: any(now != then for now, then in zip(cast.owners(), before, strict=True)))
            cast.advance()
            after = cast.owners()
        cast.finish(trickle.numbers)
    assert after == [(name, epoch + (name == "a")) for name, epoch in before]


def test_a_restore_that_stands_still_stops_no_other_task(kafka: KafkaUnderTest, tmp_path: Path) -> None:
    """Somebody unknown to the group has a transaction open in one changelog partition: it is waited for, not ended."""
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS)
    with cast_over(trickle, kafka, tmp_path) as cast:
        with trickle:
            cast.join("a")
            cast.advance()
            cast.leave("a")
            intruder = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": cast.pipeline})
            intruder.init_transactions(30)
            intruder.begin_transaction()
            intruder.produce(cast.topics.changelog, b"foreign", b"key", partition=2)
            intruder.flush(30)
            before = cast.offsets()
            cast.join("b")
            for _ in range(3):
                cast.advance(partitions=[p for p in range(PARTITIONS) if p != 2])
            assert cast.offsets()[2] == before[2]
            intruder.abort_transaction(30)
            cast.advance()
        cast.finish(trickle.numbers)
