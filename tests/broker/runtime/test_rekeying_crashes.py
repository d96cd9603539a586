"""A worker that fails on either side of a repartition topic, or between the two, changes nothing in the result."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.failpoint import LOG, STEPS
from tests.broker.harness.victims import finish, members, nothing_is_open, stands_still, start, until
from tests.broker.runtime import numbers_topic
from tests.broker.runtime.crash_cases import Case
from tests.broker.runtime.numbers_topic import Numbers
from tests.broker.runtime.rekeying_oracle import Findings, check
from tests.broker.runtime.rekeying_worker import between

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

AT_ONCE = 4
SCRIPT = Path(__file__).with_name("rekeying_worker.py")

# The first transactions are the claims. From then on upstream and downstream tasks are in the same transactions, most
# often not both: "committed" is the moment when what was sent is visible and nobody has read it.
CASES = [
    Case("claim", 1, "kill"),
    Case("marks", 1, "kill"),
    Case("marks", 6, "kill"),
    Case("marks", 6, "abort"),
    Case("produce", 7, "abort"),
    Case("send offsets", 8, "abort"),
    Case("send offsets", 9, "kill"),
    Case("committed", 3, "kill"),
    Case("committed", 6, "kill"),
    Case("committed", 9, "kill"),
    Case("commit", 6, "doubt"),
    Case("apply", 6, "kill"),
    Case("poll", 14, "kill"),
    Case("key", 500, "kill"),
    Case("judge", 400, "kill"),
    Case("judge", 900, "raise"),
    Case("commit", 6, "stop"),
]
SHORT = {
    Case("marks", 6, "kill"),
    Case("send offsets", 8, "abort"),
    Case("committed", 3, "kill"),
    Case("committed", 6, "kill"),
    Case("commit", 6, "doubt"),
    Case("judge", 400, "kill"),
}
FLUSHED = "send offsets"
"""By then the brokers have everything that the transaction sent, and are to abort it."""


def worker(kafka: KafkaUnderTest, pipeline: str, numbers: Numbers, state: Path, *options: str) -> subprocess.Popen[str]:
    until_last = ",".join(map(str, numbers.last))
    return start(SCRIPT, kafka, pipeline, state, "--topic", numbers.topic, "--until", until_last, *options)


def play(kafka: KafkaUnderTest, numbers: Numbers, case: Case, state: Path) -> Findings:
    """Let a worker fail there, let it be started again unless it goes on, and judge."""
    pipeline = f"rekey-{uuid.uuid4().hex[:8]}"
    options = ["--step", case.step, "--nth", str(case.nth), "--action", case.action]
    options += ["--timeout-ms", "2000"] if case.action == "stop" else []
    first = worker(kafka, pipeline, numbers, state, *options)
    try:
        if case.action == "stop":
            wake_after_every_time_out(kafka, pipeline, first, state)
        out, err = first.communicate(timeout=90)
    except BaseException:
        first.kill()
        raise
    assert (state / LOG).read_text() == f"{case.step} {case.action}\n", out + err
    ends_well = case.action in {"stop", "abort", "doubt"}
    assert first.returncode == (0 if ends_well else -signal.SIGKILL if case.action == "kill" else 1), out + err
    if not ends_well:
        finish(worker(kafka, pipeline, numbers, state))
    return check(kafka, pipeline, numbers, between(pipeline))


def wake_after_every_time_out(
    kafka: KafkaUnderTest, pipeline: str, process: subprocess.Popen[str], state: Path
) -> None:
    until(lambda: (state / LOG).exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    until(lambda: stands_still(process.pid))
    until(lambda: not members(kafka, pipeline))
    until(lambda: nothing_is_open(kafka, f"{pipeline}-sums", between(pipeline), f"{pipeline}.by-digit.changelog"))
    os.kill(process.pid, signal.SIGCONT)


def leave_alone(kafka: KafkaUnderTest, numbers: Numbers, state: Path) -> Findings:
    """No failure: the figures of an ordinary run, whose steps are those that fail below."""
    pipeline = f"rekey-{uuid.uuid4().hex[:8]}"
    finish(worker(kafka, pipeline, numbers, state))
    assert {case.step for case in CASES} <= set((state / STEPS).read_text().split("\n"))
    settings = Admin(Connection(kafka.bootstrap_servers)).topic_config([between(pipeline)])[between(pipeline)]
    assert [settings[name] for name in ("cleanup.policy", "retention.ms", "retention.bytes")] == ["delete", "-1", "-1"]
    return check(kafka, pipeline, numbers, between(pipeline))


Plays = dict[Case | None, Future[Findings]]


@pytest.fixture(scope="module")
def plays(
    kafka: KafkaUnderTest, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plays]:
    """All cases that were selected, some at once: most of a case is waiting for time-outs."""
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    numbers = numbers_topic.publish(kafka.bootstrap_servers)
    here = [item for item in request.session.items if item.path == Path(__file__) and isinstance(item, pytest.Function)]
    cases = [item.callspec.params["case"] for item in here if hasattr(item, "callspec")]
    root = tmp_path_factory.mktemp("rekeying")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made: Plays = {None: pool.submit(leave_alone, kafka, numbers, folder(root, "none"))}
        for case in (each for each in cases if isinstance(each, Case)):
            made[case] = pool.submit(play, kafka, numbers, case, folder(root, str(case)))
        yield made
        pool.shutdown(cancel_futures=True)


def folder(root: Path, name: str) -> Path:
    made = root / name
    made.mkdir()
    return made


def test_a_worker_that_is_left_alone_gives_the_result(plays: Plays) -> None:
    found = plays[None].result()
    assert found.aborted_between == 0
    assert found.marks > 0


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c in SHORT else pytest.mark.full, id=str(c)) for c in CASES]
)
def test_a_worker_that_fails_anywhere_changes_nothing(plays: Plays, case: Case) -> None:
    found = plays[case].result()
    if case.step == FLUSHED:
        # What was in the topic in between, and was given up: the counts say that nobody behind it has seen it.
        assert found.aborted_between > 0
