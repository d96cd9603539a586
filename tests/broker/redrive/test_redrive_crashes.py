"""A redrive that dies anywhere loses no letter and redrives none twice.

The oracle is a bare client in both isolation levels and a reader of the broker's files; it shares no code with what it
checks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.record_batch import StoredRecord
from penstock.testing.segments import read_topic
from tests.broker.harness import bare_reader, victims
from tests.broker.harness.victims import finish, nothing_is_open, stands_still, until
from tests.broker.redrive.dead_letters import FIRST_MS, PARTITIONS, USERS, Letters

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

SCRIPT = Path(__file__).with_name("crashing_redrive.py")
COUNT = 1_000

# Every step of an attempt, and the middle of the two calls that take time.
STEPS = [
    ("init", 1, "kill"),
    ("read ledger", 1, "kill"),
    ("scan", 1, "kill"),
    ("begin", 3, "kill"),
    ("produce", 250, "kill"),
    ("ledger", 3, "kill"),
    ("flush", 3, "kill"),
    ("flush", 4, "kill-inside"),
    ("commit", 3, "kill"),
    ("commit", 4, "kill-inside"),
    ("committed", 3, "kill"),
    ("commit", 5, "raise"),
]


def start(kafka: KafkaUnderTest, letters: Letters, prefix: str, state: Path, *options: str) -> subprocess.Popen[str]:
    return victims.start(SCRIPT, kafka, prefix, state, "--topic", letters.dead, *options)


def read(kafka: KafkaUnderTest, topic: str) -> dict[int, list[StoredRecord]]:
    """{partition: committed records}, the same by a bare client and by the broker's files."""
    shown = bare_reader.read(kafka.bootstrap_servers, topic)
    if kafka.cluster is not None:
        logs = read_topic(kafka.cluster.log_directory(1), topic)
        assert {partition: log.visible() for partition, log in logs.items()} == shown
    return shown


def check(kafka: KafkaUnderTest, letters: Letters) -> None:
    """Every whole letter once, where its original stood and as it was, in order."""
    found = read(kafka, letters.source)
    for partition in range(PARTITIONS):
        expected = [n for n in letters.whole if n % PARTITIONS == partition]
        assert [int(record.value or b"-1") for record in found[partition]] == expected
        for n, record in zip(expected, found[partition], strict=True):
            assert (record.key, record.timestamp_ms) == (b"key-%d" % n, FIRST_MS + n)
            users, (first, *marks) = list(record.headers[: len(USERS)]), record.headers[len(USERS) :]
            assert users == USERS
            assert first[0] == "penstock.dlq.redrive.id"
            assert marks == [("penstock.dlq.redrive.count", b"1"), *_addressed(letters, n)]


def _addressed(letters: Letters, n: int) -> list[tuple[str, bytes]]:
    """Ours name the consumer group that they are for; those of other systems do not."""
    prefix = letters.dead.partition(".dlq.")[0]
    return [("penstock.dlq.redrive.group", f"{prefix}.delays".encode())] if n % 4 == 0 else []


@pytest.fixture
def letters(kafka: KafkaUnderTest, topic_prefix: str) -> Letters:
    return Letters.written(kafka.bootstrap_servers, topic_prefix, COUNT)


@pytest.mark.parametrize(("step", "nth", "action"), STEPS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_redrive_that_dies_at_any_step_ends_exactly_when_given_again(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path, step: str, nth: int, action: str
) -> None:
    first = start(kafka, letters, topic_prefix, tmp_path, "--step", step, "--nth", str(nth), "--action", action)
    _, err = first.communicate(timeout=90)
    assert (tmp_path / "failpoint.log").read_text() == f"{step} {action}\n", err
    assert first.returncode == (-signal.SIGKILL if action.startswith("kill") else 1), err
    out, _ = finish(start(kafka, letters, topic_prefix, tmp_path))
    check(kafka, letters)
    assert json.loads(out)["held"] == {"partial": COUNT - len(letters.whole)}


def test_selections_that_overlap_redrive_nothing_twice_though_one_dies(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path
) -> None:
    finish(start(kafka, letters, topic_prefix, tmp_path, "--where", "partition=1"))
    dying = start(kafka, letters, topic_prefix, tmp_path, "--where", "dialect=*", "--step", "commit", "--nth", "3")
    dying.communicate(timeout=90)
    assert dying.returncode == -signal.SIGKILL
    out, _ = finish(start(kafka, letters, topic_prefix, tmp_path))
    check(kafka, letters)
    assert 0 < json.loads(out)["letters"] < COUNT
    out, _ = finish(start(kafka, letters, topic_prefix, tmp_path))
    assert json.loads(out)["letters"] == 0
    check(kafka, letters)


def test_the_same_command_behind_a_kill_reads_only_what_is_left(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path
) -> None:
    """A quarter of the letters is meant, and two hundred of these are redriven when it dies."""
    where, meant = ("--where", "dialect=streams"), [n for n in range(COUNT) if n % 4 == 2 and not letters.is_partial(n)]
    dying = start(kafka, letters, topic_prefix, tmp_path, *where, "--step", "commit", "--nth", "3")
    dying.communicate(timeout=90)
    assert dying.returncode == -signal.SIGKILL
    done = json.loads(finish(start(kafka, letters, topic_prefix, tmp_path, *where))[0])
    assert (done["letters"], done["held"]) == (len(meant) - 200, {})
    assert done["offsets_read"] < COUNT // 2
    found = [int(record.value or b"-1") for records in read(kafka, letters.source).values() for record in records]
    assert sorted(found) == meant


def test_one_that_stood_still_past_its_time_out_stops_and_nothing_is_doubled(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path
) -> None:
    """SIGSTOP inside a transaction until the coordinator has aborted it."""
    process = start(
        kafka,
        letters,
        topic_prefix,
        tmp_path,
        *("--step", "commit", "--nth", "4", "--action", "stop", "--timeout-ms", "1500"),
    )
    until((tmp_path / "failpoint.log").exists)
    until(lambda: stands_still(process.pid))
    until(lambda: nothing_is_open(kafka, letters.source, f"{topic_prefix}.crash.redrives"))
    os.kill(process.pid, signal.SIGCONT)
    process.communicate(timeout=90)
    finish(start(kafka, letters, topic_prefix, tmp_path))
    check(kafka, letters)


def test_an_error_that_ends_a_run_does_not_hold_readers_back(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path
) -> None:
    """The transaction's time-out is far away: what ends it is the run itself."""
    process = start(
        kafka,
        letters,
        topic_prefix,
        tmp_path,
        *("--step", "commit", "--nth", "4", "--action", "raise", "--timeout-ms", "600000"),
    )
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "failpoint commit" in err
    until(lambda: nothing_is_open(kafka, letters.source, f"{topic_prefix}.crash.redrives"), timeout_s=20)


def test_of_two_on_two_machines_the_older_stops_and_nothing_is_doubled(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path
) -> None:
    """Two state directories are two machines: the older stands still in a transaction while the newer does it all."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    older = start(kafka, letters, topic_prefix, here, "--step", "commit", "--nth", "4", "--action", "stop")
    until((here / "failpoint.log").exists)
    until(lambda: stands_still(older.pid))
    finish(start(kafka, letters, topic_prefix, there))
    os.kill(older.pid, signal.SIGCONT)
    _, err = older.communicate(timeout=60)
    assert older.returncode == 6, err
    assert "another process works on the dead letters" in err
    check(kafka, letters)


def test_two_processes_on_one_machine_cannot_work_on_one_topic(
    kafka: KafkaUnderTest, topic_prefix: str, letters: Letters, tmp_path: Path
) -> None:
    first = start(kafka, letters, topic_prefix, tmp_path, "--step", "commit", "--nth", "3", "--action", "stop")
    until((tmp_path / "failpoint.log").exists)
    second = start(kafka, letters, topic_prefix, tmp_path)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 6
    assert f"process {first.pid}" in err
    os.kill(first.pid, signal.SIGCONT)
    finish(first)
    check(kafka, letters)
