"""Two processes with one identity, as on two machines: exactly one of them ends, and says why."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from penstock.errors import ExitCode
from penstock.kafka.group_settings import GroupSettings
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.cast import Cast
from tests.broker.runtime.numbers_topic import Trickle

pytestmark = pytest.mark.broker


@contextmanager
def cast_of(kafka: KafkaUnderTest, tmp_path: Path, partitions: int, options: tuple[str, ...] = ()) -> Generator[Cast]:
    """Workers over numbers that come in all the time; at the end all are dealt with, and the result is judged."""
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    trickle = Trickle(kafka.bootstrap_servers, partitions=partitions, keys=7)
    cast = Cast(kafka, trickle.topic, partitions, tmp_path, options)
    try:
        with trickle:
            yield cast
        cast.finish(trickle.numbers)
    finally:
        cast.close()


@pytest.mark.parametrize(
    ("partitions", "options"),
    [
        (3, ()),
        (1, ()),  # the newer one gets no partition
        (3, ("--static",)),
        pytest.param(3, ("--protocol", "consumer"), marks=pytest.mark.full),
        pytest.param(3, ("--protocol", "consumer", "--static"), marks=pytest.mark.full),
    ],
)
def test_of_two_with_one_identity_exactly_one_ends(
    kafka: KafkaUnderTest, tmp_path: Path, partitions: int, options: tuple[str, ...]
) -> None:
    with cast_of(kafka, tmp_path, partitions, options) as cast:
        cast.join("here", instance="one")
        cast.advance()
        cast.join("there", instance="one")
        one_of_them_ends(cast)


def test_an_instance_that_lost_its_partitions_while_it_stood_still_finds_its_twin(
    kafka: KafkaUnderTest, tmp_path: Path
) -> None:
    """Whoever has no partitions writes nothing, so it is not told that it was fenced."""
    with cast_of(kafka, tmp_path, 1) as cast:
        cast.join("here", instance="one")
        cast.advance()
        cast.stop("here")
        cast.join("there", instance="one")
        cast.advance()
        cast.wake("here")
        one_of_them_ends(cast)


def test_of_two_with_one_identity_that_both_have_nothing_to_do_exactly_one_ends(
    kafka: KafkaUnderTest, tmp_path: Path
) -> None:
    with cast_of(kafka, tmp_path, 1) as cast:
        cast.join("busy")
        cast.advance()
        cast.join("here", instance="one")
        cast.join("there", instance="one")
        one_of_them_ends(cast)
        assert "busy" in cast.alive


def one_of_them_ends(cast: Cast) -> None:
    """Exactly one, with the code and the words for it; the others go on."""
    until(lambda: any(process.poll() is not None for process in cast.alive.values()))
    (ended,) = [name for name, process in cast.alive.items() if process.poll() is not None]
    err = cast.log(ended)
    assert cast.alive.pop(ended).returncode == ExitCode.DUPLICATE_IDENTITY, err
    assert f"'{cast.pipeline}.one.0'" in err
    assert "another instance name" in err
    for _ in range(3):
        cast.advance()


def test_a_static_member_whose_name_is_taken_over_by_nobody_alive_goes_on(
    kafka: KafkaUnderTest, tmp_path: Path
) -> None:
    """As when its request to join was answered too late: the coordinator knows it by an id that it has never heard."""
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    trickle = Trickle(kafka.bootstrap_servers, partitions=3, keys=7)
    cast = Cast(kafka, trickle.topic, 3, tmp_path, ("--static",))
    try:
        with trickle:
            cast.join("here", instance="one")
            cast.advance()
            name = f"{cast.pipeline}.one.0"
            ghost = Consumer(
                {
                    "bootstrap.servers": kafka.bootstrap_servers,
                    "group.id": cast.pipeline,
                    "client.id": name,
                    "enable.auto.commit": False,
                    **GroupSettings(session_timeout_ms=1_500, instance_id=name).as_options(),
                }
            )
            ghost.subscribe([trickle.topic])

            def has_taken_over() -> bool:
                ghost.poll(0.1)
                return "was replaced in the group" in cast.log("here")

            try:
                until(has_taken_over)
            finally:
                ghost.close()  # a static member does not leave the group
            for _ in range(3):
                cast.advance()
        cast.finish(trickle.numbers)
    finally:
        cast.close()
