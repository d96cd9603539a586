"""A record that kills the process is isolated, and the worker goes on without it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness import victims
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import Row, create, publish

pytestmark = pytest.mark.broker

SCRIPT = Path(__file__).with_name("deadly_worker.py")
ROWS, DEADLY = 300, 123


def lives(kafka: KafkaUnderTest, name: str, state: Path, policy: str) -> list[subprocess.Popen[str]]:
    """Start it until it does not die."""
    create(kafka.bootstrap_servers, f"{name}-in")
    rows = [Row(b"k", b"deadly" if n == DEADLY else b"%d" % n) for n in range(ROWS)]
    publish(kafka.bootstrap_servers, f"{name}-in", rows)
    found: list[subprocess.Popen[str]] = []
    while len(found) < 8:
        found.append(victims.start(SCRIPT, kafka, name, state, str(ROWS), policy))
        _, err = found[-1].communicate(timeout=90)
        if found[-1].returncode != -signal.SIGSEGV:
            assert found[-1].returncode in {0, 5}, err
            return found
    raise AssertionError("it dies without end")


def test_a_record_that_kills_the_process_becomes_a_dead_letter(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """Once it dies with the record among others, three times with it alone."""
    assert len(lives(kafka, topic_prefix, tmp_path, "dead_letter")) == 5
    found = read(kafka.bootstrap_servers, f"{topic_prefix}-out")
    assert [int(r.value or b"") for r in found[0]] == [n for n in range(ROWS) if n != DEADLY]
    (letter,) = read(kafka.bootstrap_servers, f"dlq.{topic_prefix}.{topic_prefix}-in")[0]
    headers = dict(letter.headers)
    assert (letter.value, headers["penstock.dlq.reason"]) == (b"deadly", b"killed")
    assert headers["penstock.dlq.attempts"] == b"3"


def test_or_the_task_stops_in_front_of_it(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """With a policy to stop, the worker stops dying, too."""
    assert lives(kafka, topic_prefix, tmp_path, "fail")[-1].returncode == 5
    assert len(read(kafka.bootstrap_servers, f"{topic_prefix}-out")[0]) == DEADLY
