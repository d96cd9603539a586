"""Every step and what happens there; and one case, from the crash to the verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.failpoint import FIRST_COMMIT, LOG
from tests.broker.harness.victims import finish, members, nothing_is_open, stands_still, start, until
from tests.broker.runtime.numbers_topic import Numbers
from tests.broker.runtime.worker_oracle import Topics, check

SCRIPT = Path(__file__).with_name("crashing_worker.py")


@dataclass(frozen=True, slots=True)
class Case:
    """Where a worker fails, the how manyeth time it gets there, and how."""

    step: str
    nth: int
    action: str

    def __str__(self) -> str:
        return f"{self.step}-{self.nth}-{self.action}".replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case whose result was right.

    Attributes:
        step: of the case; likewise `nth` and `action`.
        nth: see there.
        action: see there.
        aborted: records of aborted transactions in the files.
        transactions: committed ones, counted per task.
        recovery_s: from the end of the process, or from SIGCONT, to the next commit; None where nothing was left to do.
    """

    step: str
    nth: int
    action: str
    aborted: int
    transactions: int
    recovery_s: float | None

    def as_dict(self) -> dict[str, str | int | float | None]:
        return asdict(self)


# The first of the steps that transactions share belongs to the claim.
STEPS = [
    ("deploy", 1),
    ("deployed", 1),
    ("init", 1),
    ("restore", 2),
    ("load checkpoint", 2),
    ("claim", 1),
    ("begin", 1),
    ("changelog", 1),
    ("commit record", 1),
    ("flush", 1),
    ("metadata", 1),
    ("send offsets", 1),
    ("commit", 1),
    ("committed", 1),
    ("apply", 1),
    ("poll", 12),
    ("process", 12),
    ("decode", 12),
    ("handler", 300),
    ("fold", 300),
    ("show", 300),
    ("accept", 12),
    ("begin", 5),
    ("produce", 6),
    ("changelog", 8),
    ("commit record", 8),
    ("flush", 5),
    ("metadata", 5),
    ("send offsets", 5),
    ("commit", 5),
    ("committed", 5),
    ("apply", 5),
    ("checkpoint", 4),
    ("checkpoint write", 4),
    ("checkpoint sync", 4),
    ("checkpoint written", 4),
    ("close", 1),
    ("closed", 1),
]
INSIDE = [
    ("init", 1),
    ("poll", 12),
    ("flush", 6),
    ("send offsets", 6),
    ("commit", 6),
    ("checkpoint write", 4),
    ("close", 1),
]
WRITING = {"checkpoint write", "checkpoint sync", "checkpoint written"}
"""These are another thread's, which has no transaction."""
BEFORE_COMMIT = [step for step in STEPS if step[0] not in {"committed", "apply", "close", "closed"} | WRITING]
IN_DOUBT = [step for step in STEPS if step[0] in {"commit", "committed", "apply"} and step[1] > 1]

MATRIX = [
    *(Case(step, nth, action) for step, nth in STEPS for action in ("kill", "raise", "stop")),
    *(Case(step, nth, "kill-inside") for step, nth in INSIDE),
    *(Case(step, nth, "abort") for step, nth in BEFORE_COMMIT),
    *(Case(step, nth, "doubt") for step, nth in IN_DOUBT),
]

# One per step, the actions in turn; the middle of the calls that take time; and what the same process must survive.
SHORT = {
    *(Case(step, nth, "kill" if place % 3 else "raise") for place, (step, nth) in enumerate(STEPS)),
    *(Case(step, nth, "kill-inside") for step, nth in INSIDE if step in {"flush", "send offsets", "commit"}),
    *(Case(step, nth, "stop") for step, nth in STEPS if (step, nth) in {("changelog", 8), ("commit", 5)}),
    *(Case(step, nth, "abort") for step, nth in STEPS if (step, nth) in {("fold", 300), ("send offsets", 5)}),
    *(Case(step, nth, "doubt") for step, nth in IN_DOUBT if step != "apply"),
}


def play(kafka: KafkaUnderTest, numbers: Numbers, case: Case | None, state: Path) -> Outcome:
    """Let a worker of a pipeline of its own fail there, let it be started again unless it goes on, and judge."""
    state.mkdir()
    pipeline = f"crash-{uuid.uuid4().hex[:8]}"
    if case is None:
        finish(worker(kafka, pipeline, numbers, state))
        found = check(kafka, pipeline, numbers)
        return Outcome("none", 0, "none", found.aborted, found.transactions, None)
    first = worker(kafka, pipeline, numbers, state, case)
    try:
        if case.action == "stop":
            wake_after_every_time_out(kafka, pipeline, numbers, first, state)
        else:
            first.wait(90)
    except BaseException:
        first.kill()
        raise
    since_s = time.monotonic()
    out, err = first.communicate(timeout=90)
    assert (state / LOG).read_text() == f"{case.step} {case.action}\n", out + err
    ends_well = case.action in {"stop", "abort", "doubt"}
    expected = 0 if ends_well else (-signal.SIGKILL if case.action.startswith("kill") else 1)
    assert first.returncode == expected, out + err
    if not ends_well:
        (state / FIRST_COMMIT).unlink(missing_ok=True)
        finish(worker(kafka, pipeline, numbers, state))
    found = check(kafka, pipeline, numbers)
    recovery_s = None
    if case.action not in {"abort", "doubt"} and (state / FIRST_COMMIT).exists():
        recovery_s = round(float((state / FIRST_COMMIT).read_text()) - since_s, 2)
    return Outcome(case.step, case.nth, case.action, found.aborted, found.transactions, recovery_s)


def worker(
    kafka: KafkaUnderTest, pipeline: str, numbers: Numbers, state: Path, case: Case | None = None
) -> subprocess.Popen[str]:
    """Start one."""
    options = ["--topic", numbers.topic, "--until", ",".join(map(str, numbers.last))]
    if case is not None:
        options += ["--step", case.step, "--nth", str(case.nth), "--action", case.action]
        options += ["--timeout-ms", "2000"] if case.action == "stop" else []
    return start(SCRIPT, kafka, pipeline, state, *options)


def wake_after_every_time_out(
    kafka: KafkaUnderTest, pipeline: str, numbers: Numbers, process: subprocess.Popen[str], state: Path
) -> None:
    """Continue it when the group has forgotten it and its transaction is aborted."""
    topics = Topics.of(pipeline, numbers.topic)
    until(lambda: (state / LOG).exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    until(lambda: stands_still(process.pid))
    until(lambda: not members(kafka, pipeline))
    until(lambda: nothing_is_open(kafka, topics.sums, topics.changelog, topics.dead_letters))
    (state / FIRST_COMMIT).unlink(missing_ok=True)
    os.kill(process.pid, signal.SIGCONT)
