"""`penstock run` as a process that is asked to stop: in order, at once, and when it does not manage in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import Isolation, group_offsets, read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import members, until

pytestmark = pytest.mark.broker

ROWS, STUCK = 3_000, 1_700

CODE = """
import os, pathlib, time
import penstock as ps

def hang(text: str) -> str:
    while text == os.environ.get("HANGS_AT"):
        pathlib.Path("hangs").touch()
        time.sleep(1_000)
    time.sleep(float(os.environ.get("RECORD_S", "0")))
    return text

pipeline = ps.Pipeline("{name}")
lengths = pipeline.stream(ps.Topic("{name}-in", key=str, value=str)).map(hang, name="hang").count(name="lengths")
lengths.to_stream().map(str, name="show").to(ps.Topic("{name}-out", key=str, value=str))
"""

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """A project with its input published; starts workers of it."""
    (tmp_path / "penstock.toml").write_text('[project]\nname = "stopping"\n')
    (tmp_path / "processors").mkdir()
    (tmp_path / "processors" / "counting.py").write_text(CODE.format(name=topic_prefix))
    create(kafka.bootstrap_servers, f"{topic_prefix}-in")
    create(kafka.bootstrap_servers, f"{topic_prefix}-out")
    publish(kafka.bootstrap_servers, f"{topic_prefix}-in", [Row(b"k", b"%d" % n) for n in range(ROWS)])

    def started(**environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from penstock.cli.app import main; main()", "run", topic_prefix],
            cwd=tmp_path,
            env={
                **os.environ,
                "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "PENSTOCK_PROCESSING__MAX_BATCH_RECORDS": "100",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        request.addfinalizer(process.kill)
        return process

    return started


def counts(kafka: KafkaUnderTest, name: str, isolation: Isolation = "read_committed") -> list[int]:
    found = read(kafka.bootstrap_servers, f"{name}-out", isolation)
    return [int(record.value or b"") for records in found.values() for record in records]


def committed(kafka: KafkaUnderTest, name: str) -> int:
    (found,) = group_offsets(kafka.bootstrap_servers, name, f"{name}-in", [0])
    return max(found.offset, 0)


def stop(process: subprocess.Popen[str], *numbers: signal.Signals) -> tuple[int, str]:
    for number in numbers:
        process.send_signal(number)
    _, err = process.communicate(timeout=90)
    return process.returncode, err


def test_a_worker_that_is_asked_to_stop_commits_and_leaves(kafka: KafkaUnderTest, topic_prefix: str, run: Run) -> None:
    """What it had staged, and nothing would have committed for long; the next one goes on from there."""
    process = run(RECORD_S="0.02", PENSTOCK_PROCESSING__COMMIT_INTERVAL_MS="40000")
    until(lambda: process.poll() is not None or bool(counts(kafka, topic_prefix, "read_uncommitted")))
    assert committed(kafka, topic_prefix) == 0
    code, err = stop(process, signal.SIGTERM)
    assert code == 0, err
    assert members(kafka, topic_prefix) == 0
    assert 0 < committed(kafka, topic_prefix) < ROWS
    assert counts(kafka, topic_prefix) == list(range(1, committed(kafka, topic_prefix) + 1))
    process = run()
    until(lambda: process.poll() is not None or committed(kafka, topic_prefix) == ROWS)
    assert stop(process, signal.SIGTERM)[0] == 0
    assert counts(kafka, topic_prefix) == list(range(1, ROWS + 1))


@pytest.mark.parametrize("is_patient", [pytest.param(True, marks=pytest.mark.full), False])
def test_a_worker_that_hangs_is_ended_and_nothing_is_lost(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, run: Run, *, is_patient: bool
) -> None:
    """By the end of its grace time, or by a second signal; what it had staged is aborted and done again."""
    process = run(
        HANGS_AT=str(STUCK),
        PENSTOCK_PROCESSING__COMMIT_INTERVAL_MS="1",  # so that what comes before the hang is committed, or nearly
        PENSTOCK_PROCESSING__SHUTDOWN_GRACE_MS="500" if is_patient else "60000",
    )
    until(lambda: process.poll() is not None or (tmp_path / "hangs").exists())
    process.send_signal(signal.SIGTERM)
    if not is_patient:
        assert process.stderr is not None
        while "stopping" not in process.stderr.readline():
            assert process.poll() is None
    code, err = stop(process) if is_patient else stop(process, signal.SIGTERM)
    assert code == 143, err
    assert "with the transaction open, which loses nothing" in err
    before = committed(kafka, topic_prefix)
    assert counts(kafka, topic_prefix) == list(range(1, before + 1))
    assert before <= STUCK
    process = run()
    until(lambda: process.poll() is not None or committed(kafka, topic_prefix) == ROWS)
    assert stop(process, signal.SIGINT)[0] == 0
    assert counts(kafka, topic_prefix) == list(range(1, ROWS + 1))
