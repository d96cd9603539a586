"""A producer that dies anywhere loses nothing and repeats nothing.

The oracle is a bare client in both isolation levels and a reader of the broker's files; it shares no code with what it
checks.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.segments import read_topic
from tests.broker.harness import bare_reader, victims
from tests.broker.harness.victims import finish, nothing_is_open, stands_still, until

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

SCRIPT = Path(__file__).with_name("crashing_producer.py")
ROWS = 3_000
GOOD = [str(n) for n in range(ROWS) if n % 97]
BAD = [str(n) for n in range(ROWS) if not n % 97]

# Every step of a tenure, and the middle of the two calls that take time. The second number is the how manyeth time the
# step comes: 1 = the claim for those that it shares with transactions of rows.
STEPS = [
    ("init", 1, "kill"),
    ("read cursor", 1, "kill"),
    ("claim", 1, "kill"),
    ("commit", 1, "kill"),  # of the claim
    ("committed", 1, "kill"),  # likewise
    ("source", 1, "kill"),
    ("begin", 3, "kill"),
    ("convert", 5, "kill"),
    ("produce", 6, "kill"),
    ("cursor", 3, "kill"),
    ("flush", 3, "kill"),
    ("flush", 4, "kill-inside"),
    ("commit", 3, "kill"),
    ("commit", 4, "kill-inside"),
    ("committed", 3, "kill"),
    ("commit", 5, "raise"),
]


def start(kafka: KafkaUnderTest, prefix: str, state: Path, *options: str) -> subprocess.Popen[str]:
    return victims.start(SCRIPT, kafka, prefix, state, *options)


def read(kafka: KafkaUnderTest, topic: str) -> dict[int, list[bytes]]:
    """{partition: committed values}, the same by a bare client and by the broker's files."""
    shown = bare_reader.read(kafka.bootstrap_servers, topic)
    if kafka.cluster is not None:
        logs = read_topic(kafka.cluster.log_directory(1), topic)
        assert {partition: log.visible() for partition, log in logs.items()} == shown
        everything = bare_reader.read(kafka.bootstrap_servers, topic, "read_uncommitted")
        assert {partition: log.records() for partition, log in logs.items()} == everything
    return {partition: [record.value or b"" for record in records] for partition, records in shown.items()}


def check(kafka: KafkaUnderTest, prefix: str) -> None:
    """Every good row once and in order per key's partition, every bad one once, the cursor at the end."""
    by_partition = read(kafka, f"{prefix}.numbers")
    values = [v.decode() for part in by_partition.values() for v in part]
    assert Counter(values) == Counter(GOOD)
    for part in by_partition.values():
        numbers = [int(v) for v in part]
        assert numbers == sorted(numbers)
    dead = [v.decode() for part in read(kafka, f"{prefix}.dlq.numbers").values() for v in part]
    assert Counter(dead) == Counter(BAD)


@pytest.mark.parametrize(("step", "nth", "action"), STEPS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_producer_that_dies_at_any_step_resumes_exactly(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, step: str, nth: int, action: str
) -> None:
    first = start(kafka, topic_prefix, tmp_path, "--step", step, "--nth", str(nth), "--action", action)
    _, err = first.communicate(timeout=90)
    assert (tmp_path / "failpoint.log").read_text() == f"{step} {action}\n", err
    assert first.returncode == (-signal.SIGKILL if action.startswith("kill") else 1), err
    finish(start(kafka, topic_prefix, tmp_path))
    check(kafka, topic_prefix)


@pytest.mark.parametrize("nth", [1, 4], ids=["claim", "rows"])
def test_a_producer_that_stood_still_past_its_time_out_goes_on_by_itself(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, nth: int
) -> None:
    """SIGSTOP inside a transaction until the coordinator has aborted it: the same process begins again from the log."""
    process = start(
        kafka, topic_prefix, tmp_path, "--step", "commit", "--nth", str(nth), "--action", "stop", "--timeout-ms", "1500"
    )
    log = tmp_path / "failpoint.log"
    until(log.exists)
    until(lambda: stands_still(process.pid))
    until(lambda: nothing_is_open(kafka, f"{topic_prefix}.numbers", f"{topic_prefix}.crash.cursors"))
    os.kill(process.pid, signal.SIGCONT)
    out, _ = finish(process)
    assert "abort:" in out
    check(kafka, topic_prefix)


def test_an_error_that_ends_a_run_does_not_hold_readers_back(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """The transaction's time-out is far away: what ends it is the run itself."""
    process = start(
        kafka, topic_prefix, tmp_path, "--step", "commit", "--nth", "4", "--action", "raise", "--timeout-ms", "600000"
    )
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "failpoint commit" in err
    until(lambda: nothing_is_open(kafka, f"{topic_prefix}.numbers", f"{topic_prefix}.crash.cursors"), timeout_s=20)


def test_two_projects_may_have_producers_of_one_name(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> None:
    """Neither is refused or fenced: the first stands still in a transaction while the second runs to its end."""
    first = start(
        kafka, topic_prefix, tmp_path, "--step", "commit", "--nth", "4", "--action", "stop", "--timeout-ms", "60000"
    )
    until((tmp_path / "failpoint.log").exists)
    until(lambda: stands_still(first.pid))
    finish(start(kafka, topic_prefix, tmp_path, "--project", "other"))
    os.kill(first.pid, signal.SIGCONT)
    out, _ = finish(first)
    assert "abort:" not in out
    values = [v for part in read(kafka, f"{topic_prefix}.numbers").values() for v in part]
    assert Counter(v.decode() for v in values) == Counter(GOOD + GOOD)


def test_two_processes_with_one_name_on_one_machine_cannot_start(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    first = start(kafka, topic_prefix, tmp_path, "--step", "commit", "--nth", "3", "--action", "stop")
    until((tmp_path / "failpoint.log").exists)
    second = start(kafka, topic_prefix, tmp_path)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 6
    assert f"process {first.pid}" in err
    os.kill(first.pid, signal.SIGCONT)
    finish(first)
    check(kafka, topic_prefix)


def test_a_newer_instance_on_another_machine_takes_over_and_the_older_one_exits(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    """Two state directories are two machines: the older is stopped in a transaction, and never publishes again."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    older = start(kafka, topic_prefix, here, "--step", "commit", "--nth", "4", "--action", "stop")
    until((here / "failpoint.log").exists)
    until(lambda: stands_still(older.pid))
    finish(start(kafka, topic_prefix, there))
    os.kill(older.pid, signal.SIGCONT)
    _, err = older.communicate(timeout=60)
    assert older.returncode == 6, err
    assert "taken over" in err
    check(kafka, topic_prefix)
