"""Keys are parked and brought back though workers die, or lose their tasks, at every step of it.

Order per key is kept, nothing is lost or doubled.
The oracle is a bare client; it shares no code with what it checks.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness import bare_reader, victims
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import finish, stands_still, until

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

SCRIPT = Path(__file__).with_name("parking_worker.py")
ROWS = 600
KEYS = 20
PARKED, BACK = "while keys are parked", "while they are brought back"
STEPS = [
    (PARKED, "claim", 1, "kill"),
    (PARKED, "process", 6, "kill"),
    (PARKED, "produce", 6, "kill"),
    (PARKED, "flush", 5, "kill"),
    (PARKED, "send offsets", 5, "kill"),
    (PARKED, "commit", 5, "kill"),
    (PARKED, "commit", 6, "kill-inside"),
    (PARKED, "committed", 5, "kill"),
    (PARKED, "commit", 5, "abort"),
    (PARKED, "committed", 5, "doubt"),
    (BACK, "begin", 1, "kill"),
    (BACK, "produce", 3, "kill"),
    (BACK, "flush", 1, "kill"),
    (BACK, "send offsets", 1, "kill"),
    (BACK, "commit", 1, "kill"),
    (BACK, "commit", 2, "kill-inside"),
    (BACK, "committed", 1, "kill"),
    (BACK, "commit", 1, "abort"),
    (BACK, "committed", 1, "doubt"),
]


TAKEN = [(phase, step, nth) for phase, step, nth, action in STEPS if action == "kill"]
TAKEN_EACH_TIME = {(PARKED, "flush", 5), (BACK, "commit", 1)}


def start(kafka: KafkaUnderTest, name: str, state: Path, *options: str) -> subprocess.Popen[str]:
    ends = f"{ROWS // 2},{ROWS // 2}"
    return victims.start(SCRIPT, kafka, name, state, "--topic", f"{name}-in", "--until", ends, *options)


def publish_all(kafka: KafkaUnderTest, name: str) -> None:
    create(kafka.bootstrap_servers, f"{name}-in", 2)
    publish(kafka.bootstrap_servers, f"{name}-in", [Row(key_of(n), b"%d" % n, n % 2) for n in range(ROWS)])


def key_of(number: int) -> bytes:
    """Even ones are in the one partition, odd ones in the other."""
    return b"key-%d" % (number % KEYS)


def check(kafka: KafkaUnderTest, name: str) -> None:
    found: dict[bytes, list[bytes]] = {}
    for records in bare_reader.read(kafka.bootstrap_servers, f"{name}-lists").values():
        for record in records:
            found.setdefault(record.key or b"", []).append(record.value or b"")
    for key in range(KEYS):
        numbers = [str(n) for n in range(ROWS) if n % KEYS == key]
        expected = [" ".join(numbers[: count + 1]).encode() for count in range(len(numbers))]
        assert found[b"key-%d" % key] == expected
    assert not any(bare_reader.read(kafka.bootstrap_servers, f"dlq.{name}.{name}-in").values())


@pytest.mark.parametrize(("phase", "step", "nth", "action"), STEPS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_worker_that_fails_at_any_step_of_parking_changes_nothing(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, phase: str, step: str, nth: int, action: str
) -> None:
    publish_all(kafka, topic_prefix)
    state = tmp_path / "0"
    options = ["--step", step, "--nth", str(nth), "--action", action, *(["--waits"] if phase == BACK else [])]
    first = start(kafka, topic_prefix, state, *options)
    _, err = first.communicate(timeout=90)
    assert (state / "failpoint.log").read_text() == f"{step} {action}\n", err
    if action.startswith("kill"):
        assert first.returncode == -signal.SIGKILL, err
        finish(start(kafka, topic_prefix, state))
    else:
        assert first.returncode == 0, err
    check(kafka, topic_prefix)


@pytest.mark.parametrize(
    ("phase", "step", "nth"),
    [
        pytest.param(*each, marks=() if each in TAKEN_EACH_TIME else pytest.mark.full, id="-".join(map(str, each[:2])))
        for each in TAKEN
    ],
)
def test_a_worker_that_loses_its_tasks_at_any_step_of_parking_changes_nothing(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, phase: str, step: str, nth: int
) -> None:
    """It stands still in front of the step until another has its tasks and has done all; then it goes on."""
    publish_all(kafka, topic_prefix)
    options = ["--step", step, "--nth", str(nth), "--action", "stop", *(["--waits"] if phase == BACK else [])]
    first = start(kafka, topic_prefix, tmp_path / "0", *options)
    try:
        until(lambda: stands_still(first.pid))
        assert (tmp_path / "0" / "failpoint.log").read_text() == f"{step} stop\n"
        finish(start(kafka, topic_prefix, tmp_path / "1", "--instance", "1"))
        check(kafka, topic_prefix)
        first.send_signal(signal.SIGCONT)
        finish(first)
    finally:
        first.kill()
        first.wait()
    check(kafka, topic_prefix)
