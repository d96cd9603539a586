"""A record that kills the process, or never comes back, is isolated, and the worker goes on without it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness import victims
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish

pytestmark = pytest.mark.broker

SCRIPT = Path(__file__).with_name("deadly_worker.py")
ROWS, DEADLY = 300, 123
DEATHS = {
    "crash": signal.SIGSEGV,
    "use_memory_up": signal.SIGKILL,
    "loop": signal.SIGALRM,
    "backtrack": signal.SIGALRM,
    "wait": signal.SIGALRM,
}


class Life(NamedTuple):
    """How a process ended, and what it told."""

    code: int
    told: str


def lives(kafka: KafkaUnderTest, name: str, state: Path, policy: str, kind: str = "crash") -> list[Life]:
    """Start it until it does not die of the record."""
    create(kafka.bootstrap_servers, f"{name}-in")
    rows = [Row(b"k%d" % (n % 3), b"deadly" if n == DEADLY else b"%d" % n) for n in range(ROWS)]
    publish(kafka.bootstrap_servers, f"{name}-in", rows)
    found: list[Life] = []
    while len(found) < 8:
        process: subprocess.Popen[str] = victims.start(SCRIPT, kafka, name, state, str(ROWS), policy, kind)
        _, err = process.communicate(timeout=90)
        found.append(Life(process.returncode, err))
        if process.returncode in {0, 5}:
            return found
    raise AssertionError(f"it dies without end: {found[-1]}")


def results(kafka: KafkaUnderTest, name: str) -> list[int]:
    return [int(record.value or b"") for record in read(kafka.bootstrap_servers, f"{name}-out")[0]]


def letter_of(kafka: KafkaUnderTest, name: str) -> tuple[bytes | None, bytes | None, bytes | None]:
    """(value, reason, attempts) of the only dead letter."""
    (letter,) = read(kafka.bootstrap_servers, f"dlq.{name}.{name}-in")[0]
    headers = dict(letter.headers)
    return letter.value, headers["penstock.dlq.reason"], headers.get("penstock.dlq.attempts")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.full if kind in {"loop", "wait"} else ()) for kind in DEATHS]
)
def test_a_record_that_ends_the_process_or_never_comes_back_becomes_a_dead_letter(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, kind: str
) -> None:
    """Once the process dies with the record among others, three times with it alone."""
    found = lives(kafka, topic_prefix, tmp_path, "dead_letter", kind)
    assert [life.code for life in found] == [-DEATHS[kind]] * 4 + [0]
    assert results(kafka, topic_prefix) == [n for n in range(ROWS) if n != DEADLY]
    assert letter_of(kafka, topic_prefix) == (b"deadly", b"killed", b"3")
    if DEATHS[kind] is signal.SIGALRM:
        assert f"in {kind}" in found[0].told, "the last words of the process name the code it was in"


def test_more_memory_than_there_is_counts_as_a_death_though_the_process_lives_to_see_it(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    found = lives(kafka, topic_prefix, tmp_path, "dead_letter", "ask_for_too_much")
    assert [life.code for life in found] == [1] * 4 + [0]
    assert all("MemoryError" in life.told for life in found[:-1])
    assert results(kafka, topic_prefix) == [n for n in range(ROWS) if n != DEADLY]
    assert letter_of(kafka, topic_prefix) == (b"deadly", b"killed", b"3")


def test_or_the_task_stops_in_front_of_it(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """With a policy to stop, the worker stops dying, too."""
    assert lives(kafka, topic_prefix, tmp_path, "fail")[-1].code == 5
    assert len(results(kafka, topic_prefix)) == DEADLY


def test_a_parked_record_that_kills_the_process_when_it_is_tried_again_is_isolated_too(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """Its place is behind what the task has committed; those of its key come through in their order."""
    found = lives(kafka, topic_prefix, tmp_path, "park")
    assert [life.code for life in found] == [-signal.SIGSEGV] * 3 + [0]
    written = results(kafka, topic_prefix)
    assert sorted(written) == [n for n in range(ROWS) if n != DEADLY]
    for key in range(3):
        of_it = [n for n in written if n % 3 == key]
        assert of_it == sorted(of_it)
    assert letter_of(kafka, topic_prefix) == (b"deadly", b"killed", b"3")
