"""Processes that a test lets die or stand still, and what is waited for meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest

ROOT = Path(__file__).parents[3]
NO_COORDINATOR = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


def start(
    script: Path, kafka: KafkaUnderTest, prefix: str, state: Path, *options: str, log: Path | None = None
) -> subprocess.Popen[str]:
    """Start a program with the three arguments that all of them take; what it says goes to `log`, if that is given."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    with ExitStack() as stack:
        said = subprocess.PIPE if log is None else stack.enter_context(log.open("a"))
        return subprocess.Popen(
            [sys.executable, str(script), kafka.bootstrap_servers, prefix, str(state), *options],
            stdout=said,
            stderr=said,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )


def finish(process: subprocess.Popen[str], timeout_s: float = 90.0) -> tuple[str, str]:
    """Wait for its end, which must be a good one; what it has written."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, err
    return out, err


def until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def stands_still(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def nothing_is_open(kafka: KafkaUnderTest, *topics: str) -> bool:
    """Whether the last stable offsets have reached the high watermarks."""
    admin = Admin(Connection(kafka.bootstrap_servers))
    there = admin.topics()
    partitions = [(name, p) for name in topics if name in there for p in range(there[name].partitions)]
    if not partitions:
        return True
    return admin.end_offsets(partitions, "read_committed") == admin.end_offsets(partitions, "read_uncommitted")


def members(kafka: KafkaUnderTest, group: str) -> int:
    """How many the coordinator believes to be in the group; -1 while the group has no coordinator yet."""
    admin: Any = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    try:
        return len(admin.describe_consumer_groups([group])[group].result().members)
    except KafkaException as exc:
        if exc.args[0].code() not in NO_COORDINATOR:
            raise
        return -1
